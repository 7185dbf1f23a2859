package axon_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// secret stands in the hostile bodies where it can; no error may tell it.
const secret = "s3cr3t"

func TestBodyHashRefuses(t *testing.T) {
	t.Parallel()
	prompt := axon.Class{Name: "Organic", Hashed: []axon.Field{field("task", axon.Str())}}
	byDefault := axon.Class{
		Name:   "Organic",
		Hashed: []axon.Field{withDefault("task", axon.Str(), `"sort"`)},
	}
	opts := func(t axon.Type) axon.Class {
		return axon.Class{Name: "Organic", Hashed: []axon.Field{field("opts", t)}}
	}
	message := opts(axon.Model(field("task", axon.Str()), withDefault("n", axon.Int(), "1")))
	tests := []struct {
		name  string
		class axon.Class
		body  string
		want  string
	}{
		{"nothing", prompt, ``, "not valid JSON"},
		{"an array", prompt, `["s3cr3t"]`, "not a JSON object"},
		{"a string", prompt, `"task"`, "not a JSON object"},
		{"two objects", prompt, `{"task": "s3cr3t"} {}`, "not valid JSON"},
		{"a cut object", prompt, `{"task": "s3cr3t`, "not valid JSON"},
		{"a byte order mark", prompt, "\ufeff{\"task\": \"s3cr3t\"}", "not valid JSON"},
		{"NaN", opts(axon.Any()), `{"opts": NaN}`, "not valid JSON"},
		{
			"Infinity in a field that is not hashed", prompt, `{"task": "x", "a": -Infinity}`,
			"not valid JSON",
		},
		{"broken UTF-8", prompt, "{\"task\": \"s3cr3t\xff\"}", "not valid UTF-8"},
		{"a surrogate in UTF-8", prompt, "{\"task\": \"\xed\xa0\x80\"}", "not valid UTF-8"},
		{"a high half", prompt, `{"task": "\ud800s3cr3t"}`, "surrogate"},
		{"a low half", prompt, `{"task": "\uDC00"}`, "surrogate"},
		{"two high halves", prompt, `{"task": "\ud800\ud800"}`, "surrogate"},
		{"a high half and another escape", prompt, `{"task": "\ud800\n"}`, "surrogate"},
		{"a half behind an escaped backslash", prompt, `{"task": "\\\ud800"}`, "surrogate"},
		{"a half in a key", prompt, `{"task": "x", "\ud800": 1}`, "surrogate"},
		{"the field is missing", prompt, `{"tasks": "s3cr3t"}`, `field "task": missing`},
		{"the field is deeper", prompt, `{"a": {"task": "s3cr3t"}}`, `field "task": missing`},
		{"twice", prompt, `{"task": "x", "task": "x"}`, "a key comes twice"},
		{"twice, once escaped", prompt, `{"task": "x", "\u0074ask": "s3cr3t"}`, "a key comes twice"},
		{"in other case, behind", prompt, `{"task": "x", "Task": "s3cr3t"}`, "by case only"},
		{"in other case, before", prompt, `{"TASK": "s3cr3t", "task": "x"}`, "by case only"},
		{"in other case, alone", prompt, `{"tAsk": "s3cr3t"}`, "by case only"},
		{"in other case instead of the default", byDefault, `{"tAsk": "s3cr3t"}`, "by case only"},
		{"in other case, escaped", prompt, `{"task": "x", "\u0054ask": "s3cr3t"}`, "by case only"},
		{"a long s", prompt, "{\"task\": \"x\", \"ta\u017fk\": \"s3cr3t\"}", "by case only"},
		{"a kelvin sign, escaped", prompt, `{"task": "x", "tas\u212a": "s3cr3t"}`, "by case only"},
		{"null for a string", prompt, `{"task": null}`, "declared type"},
		{"a number for a string", prompt, `{"task": 3}`, "declared type"},
		{"null instead of the default", byDefault, `{"task": null}`, "declared type"},
		{"a fraction for an int", opts(axon.Int()), `{"opts": 3.0}`, "declared type"},
		{"an exponent for an int", opts(axon.Int()), `{"opts": 3e1}`, "declared type"},
		{"a string for an int", opts(axon.Int()), `{"opts": "3"}`, "declared type"},
		{"true for an int", opts(axon.Int()), `{"opts": true}`, "declared type"},
		{"an int for a bool", opts(axon.Bool()), `{"opts": 1}`, "declared type"},
		{"a string for a float", opts(axon.Float()), `{"opts": "1"}`, "declared type"},
		{"an object for a list", opts(axon.List(axon.Any())), `{"opts": {}}`, "declared type"},
		{"a list for a dict", opts(axon.Dict(axon.Any())), `{"opts": []}`, "declared type"},
		{"a wrong element", opts(axon.List(axon.Str())), `{"opts": ["x", 1]}`, "declared type"},
		{"a wrong value", opts(axon.Dict(axon.Str())), `{"opts": {"s3cr3t": null}}`, "declared type"},
		{
			"another type than the optional", opts(axon.Optional(axon.Str())), `{"opts": 1}`,
			"declared type",
		},
		{"a number beyond double", opts(axon.Any()), `{"opts": [1e309]}`, "double"},
		{
			"an int beyond double for a float", opts(axon.Float()),
			`{"opts": 1` + strings.Repeat("0", 309) + `}`, "double",
		},
		{
			"an int that Python does not read", opts(axon.Any()),
			`{"opts": -` + strings.Repeat("1", 4301) + `}`, "too long",
		},
		{
			"a float without end", opts(axon.Any()), `{"opts": 0.` + strings.Repeat("1", 4301) + `}`,
			"too long",
		},
		{
			"a nested key twice", opts(axon.Any()), `{"opts": [{"s3cr3t": 1, "b": 2, "s3cr3t": 1}]}`,
			"a key comes twice",
		},
		{
			"a nested key twice, once escaped", opts(axon.Dict(axon.Int())),
			`{"opts": {"a": 1, "\u0061": 2}}`, "a key comes twice",
		},
		{
			"a nested key twice behind a deeper object", opts(axon.Any()),
			`{"opts": {"a": {"a": 1}, "b": {}, "a": 2}}`, "a key comes twice",
		},
		{"an empty key twice", opts(axon.Any()), `{"opts": {"": 1, "": 2}}`, "a key comes twice"},
		{
			"a model's key twice", message, `{"opts": {"task": "x", "task": "s3cr3t"}}`,
			"a key comes twice",
		},
		{
			"a model's unknown key twice", message, `{"opts": {"task": "x", "a": 1, "a": 2}}`,
			"a key comes twice",
		},
		{
			"a key twice in a model's unknown value", message,
			`{"opts": {"task": "x", "a": {"b": 1, "b": 2}}}`, "a key comes twice",
		},
		{
			"a model's key in other case", message, `{"opts": {"task": "x", "Task": "s3cr3t"}}`,
			"by case only",
		},
		{"a model's default in other case", message, `{"opts": {"task": "x", "N": 2}}`, "by case only"},
		{"a model's field is missing", message, `{"opts": {"n": 1}}`, `field "opts": missing`},
		{
			"too deep", opts(axon.Any()),
			`{"opts": ` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + "}", "nested too deep",
		},
		{
			"too deep where nothing is hashed", prompt,
			`{"task": "x", "a": ` + strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 65),
			"nested too deep",
		},
		{"brackets without end", prompt, strings.Repeat("[", 1<<20), "nested too deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hash, err := tt.class.BodyHash([]byte(tt.body))
			require.ErrorIs(t, err, axon.ErrBadBody)
			require.Empty(t, hash)
			require.ErrorContains(t, err, "axon: bad body: ")
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func TestBodyHashTakesWhatIsDeepButNotTooDeep(t *testing.T) {
	t.Parallel()
	value := strings.Repeat("[", 63) + strings.Repeat("]", 63)
	got, err := classOf(axon.Any()).BodyHash(bodyOf(value))
	require.NoError(t, err)
	require.Equal(t, bodyHash(value), got)
}

// TestBodyHashBoundsWhatDefaultsAdd sends many small objects for a model with a
// large default.
func TestBodyHashBoundsWhatDefaultsAdd(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	class := classOf(axon.List(axon.Model(withDefault("a", axon.Str(), `"`+long+`"`))))
	objects := func(n int) []byte { return bodyOf("[" + strings.Repeat("{},", n-1) + "{}]") }

	got, err := class.BodyHash(objects(50))
	require.NoError(t, err)
	require.Equal(t, bodyHash("["+strings.Repeat("{'a': '"+long+"'}, ", 49)+"{'a': '"+long+"'}]"), got)

	_, err = class.BodyHash(objects(100_000))
	require.ErrorIs(t, err, axon.ErrBadBody)
	require.ErrorContains(t, err, "too long")
}
