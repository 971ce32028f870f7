package safefile

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// ownedFile is the FileInfo of a file with an owner and a mode.
type ownedFile struct {
	fs.FileInfo
	uid  uint32
	mode fs.FileMode
}

func (o ownedFile) Sys() any          { return &syscall.Stat_t{Uid: o.uid} }
func (o ownedFile) Mode() fs.FileMode { return o.mode }

// TestTrustDependsOnOwnerAndMode checks files for processes of several users. 65532
// is the user of the container image, 4000000000 has no name.
// Faults: S2.
func TestTrustDependsOnOwnerAndMode(t *testing.T) {
	for _, c := range []struct {
		owner     uint32
		mode      fs.FileMode
		us        uint32
		forbidden fs.FileMode
		want      string // a part of the error; empty: trusted
	}{
		{0, 0o600, 0, 0o077, ""},
		{65532, 0o400, 65532, 0o077, ""},
		{0, 0o440, 65532, 0o077, ""},
		{0, 0o644, 65532, 0o022, ""},
		{0, 0o440, 0, 0o077, "mode 0440): run chmod 0400"},
		{65532, 0o440, 65532, 0o077, "mode 0440): run chmod 0400"},
		{0, 0o444, 65532, 0o077, "mode 0444): run chmod 0440"},
		{0, 0o460, 65532, 0o077, "mode 0460): run chmod 0440"},
		{0, 0o664, 0, 0o022, "mode 0664): run chmod 0644"},
		{4000000000, 0o600, 0, 0o077, "its owner is user 4000000000, who could give rights: run chown root"},
		{4000000000, 0o644, 65532, 0o022, "its owner is user 4000000000"},
	} {
		err := checkTrust(ownedFile{uid: c.owner, mode: c.mode}, c.us, c.forbidden)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("a file of user %d, mode %04o, for user %d: error %v, want %q", c.owner, c.mode, c.us, err, c.want)
		}
	}
}

func TestUnreadableFileNamesTheUser(t *testing.T) {
	err := explain("open", "/x", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES})
	want := "open /x: permission denied for " + UserName(uint32(os.Geteuid())) + ", the user of this process"
	if err.Error() != want || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %s", err, want)
	}
}
