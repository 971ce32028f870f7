package probe

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// maxCompressed bounds the compressed size of a body, in bytes. A body that does not
	// shrink by compression is not a normal one.
	maxCompressed = 2 * maxBody
	// maxCodings bounds how often a body is compressed.
	maxCodings = 3
)

// unpack returns a reader of what a body contains, given the field Content-Encoding.
// Words that name no coding, such as UTF-8, are ignored: servers send them.
func unpack(r io.Reader, codings string) (io.Reader, error) {
	r = io.LimitReader(r, maxCompressed)
	names := strings.Split(strings.ToLower(codings), ",")
	if len(names) > maxCodings {
		return nil, fmt.Errorf("more than %d codings", maxCodings)
	}
	for _, name := range slices.Backward(names) {
		var err error
		switch name = strings.TrimSpace(name); name {
		case "gzip", "x-gzip":
			r, err = gunzip(r)
		case "deflate":
			r, err = inflate(r)
		case "br", "zstd", "compress", "x-compress":
			err = fmt.Errorf("the coding %s is not supported: ask for gzip, deflate or identity", name)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

func gunzip(r io.Reader) (io.Reader, error) {
	zr, err := gzip.NewReader(r)
	if errors.Is(err, io.EOF) {
		return strings.NewReader(""), nil // no body, as of HEAD
	}
	return zr, err
}

// inflate reads the coding deflate: zlib, as its standard says, or, from servers that
// ignore that, without the header of zlib.
func inflate(r io.Reader) (io.Reader, error) {
	br := bufio.NewReader(r)
	head, err := br.Peek(2)
	if errors.Is(err, io.EOF) {
		return br, nil
	}
	if err != nil {
		return nil, err
	}
	if head[0]&0xf == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(br)
	}
	return flate.NewReader(br), nil
}
