package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// ours is the module of the server; those of the libraries are below it.
const ours = "github.com/microhq/monitor-srv"

// source is one of our modules in a folder.
type source struct {
	dir  string
	file *modfile.File // its go.mod
}

func (s source) path() string { return s.file.Module.Mod.Path }

// extract writes the files of a revision into a folder.
func extract(ctx context.Context, tree, rev, dir string) error {
	cmd := exec.CommandContext(ctx, "git", "archive", "--format=tar", rev)
	cmd.Dir = tree
	var stderr strings.Builder
	cmd.Stderr = &stderr
	archive, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = untar(archive, dir)
	if waited := cmd.Wait(); waited != nil {
		return fmt.Errorf("git archive %s: %w\n%s", rev, waited, &stderr)
	}
	return err
}

func untar(archive io.Reader, dir string) error {
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue // folders, and the comment that holds the commit
		}
		if !filepath.IsLocal(header.Name) {
			return fmt.Errorf("the archive has a file %q", header.Name)
		}
		text, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		name := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
}

// findModules returns the modules of a tree, that of the root first. Those of the
// tools are never released.
func findModules(root string) ([]source, error) {
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path == filepath.Join(root, "tools") {
			return fs.SkipDir
		}
		if d.Name() != "go.mod" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := modfile.Parse(path, text, nil)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.Dir(path), file})
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("no go.mod below %s", root)
	}
	return all, err
}

// ownVersion is the one version that the modules require of each other.
func ownVersion(modules []source) (string, error) {
	version := ""
	for _, m := range modules {
		for _, r := range m.file.Require {
			if r.Mod.Path != ours && !strings.HasPrefix(r.Mod.Path, ours+"/") {
				continue
			}
			if version != "" && r.Mod.Version != version {
				return "", fmt.Errorf("%s requires %s %s, but another go.mod says %s: a release has one version", m.path(), r.Mod.Path, r.Mod.Version, version)
			}
			version = r.Mod.Version
		}
	}
	if version == "" {
		return "", errors.New("no go.mod requires a module of ours, so -version must be given")
	}
	return version, nil
}

// publish adds the module to a proxy of files and returns the size of its archive.
func (s source) publish(proxy, version string) (int64, error) {
	if len(s.file.Replace) > 0 {
		return 0, fmt.Errorf("%s has a replace, so \"go install\" of a version refuses it", s.path())
	}
	if err := s.addLicense(); err != nil {
		return 0, err
	}
	escaped, err := module.EscapePath(s.path())
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(proxy, escaped, "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	text, err := s.file.Format()
	if err != nil {
		return 0, err
	}
	info := fmt.Sprintf("{\"Version\":%q,\"Time\":%q}\n", version, time.Now().UTC().Format(time.RFC3339))
	for name, content := range map[string]string{"list": version + "\n", version + ".info": info, version + ".mod": string(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return 0, err
		}
	}
	packed, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		return 0, err
	}
	defer packed.Close()
	if err := zip.CreateFromDir(packed, module.Version{Path: s.path(), Version: version}, s.dir); err != nil {
		return 0, err
	}
	size, err := packed.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	return size, packed.Close()
}

// addLicense puts the license of the repository beside the module, as the go
// command does when it packs a module below the root.
func (s source) addLicense() error {
	own := filepath.Join(s.dir, "LICENSE")
	if _, err := os.Stat(own); err == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(s.dir), "LICENSE"))
	if err != nil {
		return fmt.Errorf("license of %s: %w", s.path(), err)
	}
	return os.WriteFile(own, text, 0o644)
}
