package wire

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// constants returns the constants of numbers.go by name in lower case.
func constants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "numbers.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, decl := range file.Decls {
		for _, spec := range decl.(*ast.GenDecl).Specs {
			c := spec.(*ast.ValueSpec)
			all[strings.ToLower(c.Names[0].Name)] = c.Values[0].(*ast.BasicLit).Value
		}
	}
	return all
}

// described returns the numbers of a message's fields by the name that the
// constant has in lower case.
func described(prefix string, md protoreflect.MessageDescriptor) map[string]string {
	all := make(map[string]string)
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		name := strings.ToLower(prefix + strings.ReplaceAll(string(f.Name()), "_", ""))
		all[name] = strconv.Itoa(int(f.Number()))
	}
	return all
}

func TestFieldNumbersAreThoseOfTheDescriptors(t *testing.T) {
	want := make(map[string]string)
	messages := healthpb.File_proto_health_health_proto.Messages()
	for i := range messages.Len() {
		maps.Copy(want, described(string(messages.Get(i).Name()), messages.Get(i)))
	}
	check := new(healthpb.HealthCheck).ProtoReflect().Descriptor()
	maps.Copy(want, described("map", check.Fields().ByName("results").Message()))
	response := described("HealthChecksResponse", new(monitorpb.HealthChecksResponse).ProtoReflect().Descriptor())
	const spliced = "healthchecksresponsehealthchecks"
	want[spliced] = response[spliced]
	if diff := cmp.Diff(want, constants(t)); diff != "" {
		t.Errorf("numbers.go and the descriptors differ (-descriptors +numbers.go):\n%s", diff)
	}
}
