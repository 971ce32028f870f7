package cli

import "testing"

func TestVersionIsThatOfTheLinkerOrElseOfTheModule(t *testing.T) {
	for _, test := range []struct{ linked, module, want string }{
		{"v1.2.3", "v0.3.0", "v1.2.3"},
		{"v1.2.3", "(devel)", "v1.2.3"},
		{Unversioned, "v0.3.0", "v0.3.0"},
		{Unversioned, "(devel)", Unversioned},
		{Unversioned, "", Unversioned},
	} {
		if got := chooseVersion(test.linked, test.module); got != test.want {
			t.Errorf("linked %q, module %q: version %q, want %q", test.linked, test.module, got, test.want)
		}
	}
}
