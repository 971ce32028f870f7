package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ReadTrusted is Read for a file whose content gives rights. The file must belong to
// root or the user of this process, and its mode must have none of the forbidden
// bits. A file of root may be readable by a group if this process is not root:
// Kubernetes mounts secrets so.
func ReadTrusted(path string, limit int64, forbidden fs.FileMode) ([]byte, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := CheckTrust(path, info, forbidden); err != nil {
		return nil, err
	}
	return readAll(f, path, info, limit)
}

// ReadOwn is ReadTrusted for a file that this program writes: group and others may not
// write it. Their rights to read it are taken away.
func ReadOwn(path string, limit int64) ([]byte, error) {
	f, err := OpenOwn(path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, explain("open", path, err)
	}
	return readAll(f, path, info, limit)
}

// OpenOwn opens a file for reading as ReadOwn does. It fails with ErrTooLarge if the
// file has more than limit bytes.
func OpenOwn(path string, limit int64) (*os.File, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	if err = CheckTrust(path, info, 0o022); err == nil && info.Size() > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: &sizeError{limit}}
	}
	if mode := info.Mode().Perm(); err == nil && mode&0o077 != 0 {
		if err = f.Chmod(mode &^ 0o077); errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EPERM) {
			err = nil
		} else if err != nil {
			err = explain("chmod", path, err)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// ErrUntrusted is the error of a file or directory whose owner or mode lets others
// give rights.
var ErrUntrusted = errors.New("others may write it")

// trustError is an ErrUntrusted with the reason.
type trustError struct{ error }

func (e trustError) Is(target error) bool { return target == ErrUntrusted }

// CheckTrust checks owner and mode of a file or directory as ReadTrusted does.
func CheckTrust(path string, info fs.FileInfo, forbidden fs.FileMode) error {
	if err := checkTrust(info, uint32(os.Geteuid()), forbidden); err != nil {
		return &fs.PathError{Op: "trust", Path: path, Err: trustError{err}}
	}
	return nil
}

// checkTrust checks owner and mode for a process of the user uid.
func checkTrust(info fs.FileInfo, uid uint32, forbidden fs.FileMode) error {
	owner := OwnerOf(info)
	if owner != 0 && owner != uid {
		return fmt.Errorf("its owner is %s, who could give rights: run chown %s to fix it", UserName(owner), UserName(uid))
	}
	if owner == 0 && uid != 0 {
		forbidden &^= 0o040
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return fmt.Errorf("group or others may access it (mode %04o): run chmod %04o to fix it", mode, mode&^forbidden)
	}
	return nil
}

// OwnerOf returns the user id of the owner of a file.
func OwnerOf(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return 0
}

// UserName returns the name of a user, or the id of one without a name.
func UserName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
