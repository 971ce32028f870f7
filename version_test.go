package main

import "testing"

func TestVersionIsThatOfTheLinkerOrElseOfTheModule(t *testing.T) {
	for _, test := range []struct{ linked, module, want string }{
		{"v1.2.3", "v0.3.0", "v1.2.3"},
		{"v1.2.3", "(devel)", "v1.2.3"},
		{unversioned, "v0.3.0", "v0.3.0"},
		{unversioned, "(devel)", unversioned},
		{unversioned, "", unversioned},
	} {
		if got := chooseVersion(test.linked, test.module); got != test.want {
			t.Errorf("linked %q, module %q: version %q, want %q", test.linked, test.module, got, test.want)
		}
	}
}
