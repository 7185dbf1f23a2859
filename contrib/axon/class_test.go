package axon_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

func field(name string, t axon.Type) axon.Field { return axon.Field{Name: name, Type: t} }

func withDefault(name string, t axon.Type, text string) axon.Field {
	return axon.Field{Name: name, Type: t, Default: text}
}

func TestBodyHashReadsValuesAsDeclared(t *testing.T) {
	t.Parallel()
	message := axon.Model(field("role", axon.Str()),
		withDefault("name", axon.Optional(axon.Str()), "null"), withDefault("weight", axon.Float(), "1"))
	nine := strings.Repeat("9", 4300)
	tests := []struct {
		name  string
		typ   axon.Type
		value string
		want  string
	}{
		{
			"a string", axon.Str(), `"it's \"x\"\n\u00e9\/\ud83d\ude80\b\f\r\t\\"`,
			"it's \"x\"\né/🚀\b\f\r\t\\",
		},
		{"an int", axon.Int(), `12345678901234567890123`, "12345678901234567890123"},
		{"an int's negative zero", axon.Int(), `-0`, "0"},
		{"as many digits as Python reads", axon.Int(), "-" + nine, "-" + nine},
		{"a float of an int", axon.Float(), `3`, "3.0"},
		{"a float of an int's negative zero", axon.Float(), `-0`, "0.0"},
		{"a float's negative zero", axon.Float(), `-0.0`, "-0.0"},
		{"a float of a large int", axon.Float(), `123456789012345678`, "1.2345678901234568e+17"},
		{"a float that is too small", axon.Float(), `1e-9999`, "0.0"},
		{"the last float without exponent", axon.Float(), `9999999999999998`, "9999999999999998.0"},
		{"the first float with exponent", axon.Float(), `1e16`, "1e+16"},
		{"three digits of exponent", axon.Float(), `-1.25E-300`, "-1.25e-300"},
		{"true", axon.Bool(), `true`, "True"},
		{"null", axon.Optional(axon.Bool()), `null`, "None"},
		{"not null", axon.Optional(axon.Bool()), `false`, "False"},
		{"twice optional", axon.Optional(axon.Optional(axon.Int())), `null`, "None"},
		{"optional any", axon.Optional(axon.Any()), `1`, "1"},
		{"a list with white space", axon.List(axon.Int()), "\t[ 1 ,\r\n2 ]", "[1, 2]"},
		{"a dict of floats", axon.Dict(axon.Float()), `{"b": 1, "a": 2.50}`, "{'b': 1.0, 'a': 2.5}"},
		{
			"keys that differ by case in a dict", axon.Dict(axon.Int()), `{"a": 1, "A": 2}`,
			"{'a': 1, 'A': 2}",
		},
		{
			"a model", message, `{"weight": 2, "junk": {"x": [1e5]}, "role": "it's"}`,
			`{'role': "it's", 'name': None, 'weight': 2.0}`,
		},
		{
			"a model's escaped key", message, `{"r\u006fle": "u", "name": "n"}`,
			`{'role': 'u', 'name': 'n', 'weight': 1.0}`,
		},
		{
			"models in models", axon.Model(field("m", axon.List(message))),
			`{"m": [{"role": "u"}, {"role": "a"}]}`,
			"{'m': [{'role': 'u', 'name': None, 'weight': 1.0}, {'role': 'a', 'name': None, 'weight': 1.0}]}",
		},
		{"an empty model", axon.Model(), `{"x": 1}`, "{}"},
		{"the zero type", axon.Type{}, `[1.0, "a"]`, "[1.0, 'a']"},
		{
			"unprintable text", axon.Any(),
			`["\u0000\u007f\u0085\u00ad\u3000\ufeff\ufffd\ud83e\udee0 \u2028"]`,
			"['\\x00\\x7f\\x85\\xad\\u3000\\ufeff\ufffd\U0001fae0 \\u2028']",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := classOf(tt.typ).BodyHash(bodyOf(tt.value))
			require.NoError(t, err)
			require.Equal(t, bodyHash(tt.want), got)
		})
	}
}

func TestBodyHashFindsFieldsByTheirExactNames(t *testing.T) {
	t.Parallel()
	class := axon.Class{
		Name: "Organic",
		Hashed: []axon.Field{
			field("prompt", axon.Str()),
			withDefault("n", axon.List(axon.Str()), `["it's"]`), withDefault("tone", axon.Str(), `"dry"`),
		},
		Other: []axon.Field{field("top_k", axon.Int())},
	}
	tests := []struct {
		name string
		body string
		want []string
	}{
		{"defaults", `{"prompt": "x"}`, []string{"x", `["it's"]`, "dry"}},
		{"any order", ` {"tone": "", "n": [], "prompt": "x"} `, []string{"x", "[]", ""}},
		{"an escaped name", `{"\u0070rompt": "x"}`, []string{"x", `["it's"]`, "dry"}},
		{
			"other keys twice", `{"a": 1, "A": [{"b": 1, "b": 2}], "a": 1e999, "prompt": "x"}`,
			[]string{"x", `["it's"]`, "dry"},
		},
		{
			"the name inside another value", `{"a": {"prompt": "y", "Prompt": "z"}, "prompt": "x"}`,
			[]string{"x", `["it's"]`, "dry"},
		},
		{
			"names that begin or end alike", `{"prompt ": "y", "promp": "z", "prompts": 1, "prompt": "x"}`,
			[]string{"x", `["it's"]`, "dry"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := class.BodyHash([]byte(tt.body))
			require.NoError(t, err)
			require.Equal(t, bodyHash(tt.want...), got)
		})
	}
}

func TestBodyHashWithoutHashedFieldsIsTheConstant(t *testing.T) {
	t.Parallel()
	got, err := axon.Class{Name: "Organic"}.BodyHash([]byte(`{"prompt": "x"}`))
	require.NoError(t, err)
	require.Equal(t, "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a", got)
}

func TestEmptyValueIsWhatADendriteSends(t *testing.T) {
	t.Parallel()
	for want, types := range map[string][]axon.Type{
		"IiI=":     {axon.Str(), axon.Any(), {}, axon.Optional(axon.Str())},
		"W10=":     {axon.List(axon.Str()), axon.Optional(axon.Optional(axon.List(axon.Int())))},
		"e30=":     {axon.Dict(axon.Int()), axon.Model(field("a", axon.Int()))},
		"MA==":     {axon.Int()},
		"MC4w":     {axon.Float()},
		"ZmFsc2U=": {axon.Bool(), axon.Optional(axon.Bool())},
	} {
		for _, typ := range types {
			require.Equal(t, want, axon.EmptyValue(typ))
		}
	}
}

func TestClassIsChecked(t *testing.T) {
	t.Parallel()
	deep := axon.Str()
	for range 16 {
		deep = axon.List(deep)
	}
	inModel := func(fields ...axon.Field) axon.Class { return classOf(axon.List(axon.Model(fields...))) }
	hashed := func(fields ...axon.Field) axon.Class { return axon.Class{Name: "A", Hashed: fields} }
	tests := []struct {
		name  string
		class axon.Class
		want  string
	}{
		{"no name", axon.Class{}, "name: must be an ASCII identifier"},
		{"a path", axon.Class{Name: "a/b"}, "name: must be"},
		{"a digit first", axon.Class{Name: "1a"}, "name: must be"},
		{"letters beyond ASCII", axon.Class{Name: "Anfragé"}, "name: must be"},
		{"a field without name", hashed(field("", axon.Str())), "has no name"},
		{
			"a field's name that is no header", hashed(field("a\r\nb", axon.Str())),
			"must be an ASCII identifier",
		},
		{
			"a model's field without name", inModel(field("", axon.Str())),
			`field "f0": field "": has no name`,
		},
		{"a model's field that is no text", inModel(field("\xff", axon.Str())), "must be valid UTF-8"},
		{"twice", hashed(field("a", axon.Str()), field("a", axon.Int())), `field "a": comes twice`},
		{
			"twice without case", hashed(field("task", axon.Str()), field("TAS\u212a", axon.Int())),
			"comes twice, or twice without case",
		},
		{
			"twice in a model", inModel(field("s", axon.Str()), field("\u017f", axon.Int())),
			"comes twice, or twice without case",
		},
		{"hashed and not", axon.Class{
			Name: "A", Hashed: []axon.Field{field("a", axon.Str())},
			Other: []axon.Field{field("A", axon.Str())},
		}, "comes twice"},
		{"another field's default", axon.Class{
			Name:  "A",
			Other: []axon.Field{withDefault("a", axon.Str(), `""`)},
		}, "has a default, but is not hashed"},
		{"a default that is no JSON", hashed(withDefault("a", axon.Any(), "None")), "not valid JSON"},
		{"a default that is blank", hashed(withDefault("a", axon.Any(), " ")), "not valid JSON"},
		{
			"a default that does not fit", hashed(withDefault("a", axon.Str(), "null")),
			"its default: not of the declared type",
		},
		{
			"a default that lacks a field",
			hashed(withDefault("a", axon.Model(field("b", axon.Int())), "{}")), "missing",
		},
		{
			"a default that has a key twice", hashed(withDefault("a", axon.Any(), `{"a": 1, "a": 2}`)),
			"a key comes twice",
		},
		{
			"a model's default", inModel(withDefault("a", axon.Int(), "1.5")),
			`field "f0": field "a": its default: not of the declared type`,
		},
		{"a type nested too deep", hashed(field("a", deep)), "nested deeper than 16"},
		{
			"a type nested too deep, with a default",
			hashed(withDefault("a", deep, strings.Repeat("[", 16)+`""`+strings.Repeat("]", 16))),
			"nested deeper than 16",
		},
		{
			"a model nested too deep", hashed(field("a", axon.List(axon.Optional(deep)))),
			"nested deeper than 16",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.class.BodyHash([]byte(`{}`))
			require.ErrorIs(t, err, axon.ErrBadClass)
			require.NotErrorIs(t, err, axon.ErrBadBody)
			require.ErrorContains(t, err, "axon: bad class: ")
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestAllFaultsOfAClassAreReportedOnce(t *testing.T) {
	t.Parallel()
	class := axon.Class{
		Name:   "-",
		Hashed: []axon.Field{withDefault("a", axon.Int(), `"x"`), field("?", axon.Str())},
		Other:  []axon.Field{withDefault("A", axon.Int(), "1")},
	}
	_, err := class.BodyHash(nil)
	require.ErrorIs(t, err, axon.ErrBadClass)
	require.Len(t, strings.Split(err.Error(), "\n"), 5)
}

func TestAClassHashesManyBodiesAtOnce(t *testing.T) {
	t.Parallel()
	hash, err := axon.Hasher(classOf(axon.Str(), axon.Any()))
	require.NoError(t, err)
	var hashed sync.WaitGroup
	for i := range 8 {
		hashed.Go(func() {
			text := strings.Repeat(strconv.Itoa(i), 1000*i)
			for range 100 {
				_, err := hash(nil, bodyOf(`"`+text+`"`, `{"\n": 1, "\n": 2}`))
				require.ErrorIs(t, err, axon.ErrBadBody)
				got, err := hash(nil, bodyOf(`"`+text+`"`, `["\n", "`+text+`"]`))
				require.NoError(t, err)
				require.Equal(t, bodyHash(text, `['\n', '`+text+`']`), string(got))
			}
		})
	}
	hashed.Wait()
}

func TestATypeCannotBecomePartOfItself(t *testing.T) {
	t.Parallel()
	fields := []axon.Field{field("a", axon.Int())}
	model := axon.Model(fields...)
	fields[0].Type = axon.List(model)
	got, err := classOf(axon.Model(fields...)).BodyHash(bodyOf(`{"a": [{"a": 1}]}`))
	require.NoError(t, err)
	require.Equal(t, bodyHash("{'a': [{'a': 1}]}"), got)
}
