package cli

import "runtime/debug"

// Unversioned is the version of a program that was built without one.
const Unversioned = "dev"

// BuildVersion returns the version that the linker has set or, if it has set
// none, that of the module, which "go install" of a version records.
func BuildVersion(linked string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return linked
	}
	return chooseVersion(linked, info.Main.Version)
}

func chooseVersion(linked, module string) string {
	if linked != Unversioned || module == "" || module == "(devel)" {
		return linked
	}
	return module
}
