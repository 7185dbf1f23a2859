package axon_test

import (
	"crypto/sha3"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// digest is H of the protocol: SHA3-256 in lower-case hex.
func digest(text string) string {
	sum := sha3.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// bodyHash is the body hash of fields with these Python texts.
func bodyHash(texts ...string) string {
	var joined strings.Builder
	for _, text := range texts {
		joined.WriteString(digest(text))
	}
	return digest(joined.String())
}

type bodyHashVector struct {
	ID          string   `json:"id"`
	FieldTypes  []string `json:"field_types"`
	FieldsJSON  []string `json:"fields_json"`
	PythonStr   []string `json:"python_str"`
	FieldHashes []string `json:"field_hashes"`
	BodyHash    string   `json:"body_hash"`
}

// vectorsOf reads the vectors of a file of testdata.
func vectorsOf[V any](tb testing.TB, name string) []V {
	tb.Helper()
	var file struct {
		Vectors []V `json:"vectors"`
	}
	readVectors(tb, name, &file)
	return file.Vectors
}

// classOf returns a class with hashed fields f0, f1 and so on.
func classOf(types ...axon.Type) axon.Class {
	class := axon.Class{Name: "Vector"}
	for i, t := range types {
		class.Hashed = append(class.Hashed, axon.Field{Name: "f" + strconv.Itoa(i), Type: t})
	}
	return class
}

// bodyOf returns a body for classOf.
func bodyOf(values ...string) []byte {
	members := make([]string, len(values))
	for i, value := range values {
		members[i] = `"f` + strconv.Itoa(i) + `": ` + value
	}
	return []byte("{" + strings.Join(members, ", ") + "}")
}

func TestBodyHashVectors(t *testing.T) {
	t.Parallel()
	vectors := vectorsOf[bodyHashVector](t, "bodyhash.json")
	require.Len(t, vectors, 62)
	for _, v := range vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, bodyHash(v.PythonStr...), v.BodyHash, "the vector agrees with itself")
			types := make([]axon.Type, len(v.FieldTypes))
			for i, text := range v.FieldTypes {
				types[i] = parseType(t, text)
				require.Equal(t, digest(v.PythonStr[i]), v.FieldHashes[i])
				got, err := classOf(types[i]).BodyHash(bodyOf(v.FieldsJSON[i]))
				require.NoError(t, err)
				require.Equal(t, digest(v.FieldHashes[i]), got, "field %d must have the text %s", i,
					v.PythonStr[i])
			}
			got, err := classOf(types...).BodyHash(bodyOf(v.FieldsJSON...))
			require.NoError(t, err)
			require.Equal(t, v.BodyHash, got)
		})
	}
}

type axonVector struct {
	ID       string   `json:"id"`
	Fields   []string `json:"required_hash_fields"`
	Body     string   `json:"body"`
	BodyHash string   `json:"body_hash_recomputed"`
}

// TestBodyHashOfSignedRequests reads the bodies with and without declared types.
func TestBodyHashOfSignedRequests(t *testing.T) {
	t.Parallel()
	types := map[string]axon.Type{
		"prompt": axon.Str(),
		"model":  axon.Str(),
		"messages": axon.List(axon.Model(axon.Field{Name: "role", Type: axon.Str()},
			axon.Field{Name: "content", Type: axon.Str()})),
	}
	vectors := vectorsOf[axonVector](t, "axon.json")
	require.Len(t, vectors, 69)
	for _, v := range vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			for _, declared := range []map[string]axon.Type{types, {}} {
				class := axon.Class{Name: "Organic"}
				for _, name := range v.Fields {
					class.Hashed = append(class.Hashed, axon.Field{Name: name, Type: declared[name]})
				}
				got, err := class.BodyHash([]byte(v.Body))
				require.NoError(t, err)
				require.Equal(t, v.BodyHash, got)
			}
		})
	}
}

// parseType reads a type as the vectors write it.
func parseType(t *testing.T, text string) axon.Type {
	t.Helper()
	inner := func(name string, end string) (string, bool) {
		part, ok := strings.CutPrefix(text, name)
		return strings.TrimSuffix(part, end), ok
	}
	if elem, ok := inner("list[", "]"); ok {
		return axon.List(parseType(t, elem))
	}
	if elem, ok := inner("optional ", ""); ok {
		return axon.Optional(parseType(t, elem))
	}
	if fields, ok := inner("model(", ")"); ok {
		return parseModel(t, fields)
	}
	plain := map[string]axon.Type{
		"any": axon.Any(), "str": axon.Str(), "int": axon.Int(), "float": axon.Float(),
		"bool": axon.Bool(),
		"dict": axon.Dict(axon.Any()),
	}
	require.Contains(t, plain, text)
	return plain[text]
}

// parseModel reads "role: str, n: optional int = null".
func parseModel(t *testing.T, text string) axon.Type {
	t.Helper()
	var fields []axon.Field
	for part := range strings.SplitSeq(text, ", ") {
		name, declared, ok := strings.Cut(part, ": ")
		require.True(t, ok)
		declared, byDefault, _ := strings.Cut(declared, " = ")
		fields = append(fields, axon.Field{Name: name, Type: parseType(t, declared), Default: byDefault})
	}
	return axon.Model(fields...)
}
