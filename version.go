package main

import "runtime/debug"

// unversioned is the version of a program that was built without one.
const unversioned = "dev"

// programVersion returns the version that the linker has set or, if it has set
// none, that of the module, which "go install" of a version records.
func programVersion(linked string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return linked
	}
	return chooseVersion(linked, info.Main.Version)
}

func chooseVersion(linked, module string) string {
	if linked != unversioned || module == "" || module == "(devel)" {
		return linked
	}
	return module
}
