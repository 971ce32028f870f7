package registry

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"

	"go-micro.dev/v4/registry"
)

// Limits of the tags of a node. Anybody may register any.
const (
	maxTags = 1024
	// maxTag bounds the inflated JSON of a tag, and maxTagTotal that of a node, in bytes.
	maxTag      = 64 << 10
	maxTagTotal = 1 << 20
)

// Kinds of go-micro's tags: the first byte. The second is the encoding.
const (
	endpointTag = 'e'
	metadataTag = 't'
	versionTag  = 'v'

	plainTag  = '=' // of go-micro before 2016
	packedTag = '-' // hex(zlib(JSON))
)

// tagDecoder decodes the tags by which go-micro's Consul plugin says what Consul has no
// field for. It is not safe for concurrent use.
type tagDecoder struct {
	packed   []byte
	inflater io.ReadCloser // that of the last tag; a new one takes 40 kB
	text     bytes.Buffer
	left     int // bytes that the tags of the node may still take
}

// nodeTags is what the tags of a node say.
type nodeTags struct {
	version   string
	metadata  map[string]string
	endpoints []*registry.Endpoint
	// bad counts the tags that begin like go-micro's and cannot be decoded, or are
	// beyond the limits.
	bad int
}

// decode decodes tags. As in the plugin the first encoding that is found counts for all
// tags of a kind, and of versions the first.
func (d *tagDecoder) decode(tags []string) nodeTags {
	var found nodeTags
	d.left = maxTagTotal
	encodings := make(map[byte]byte, 3)
	for i, tag := range tags {
		if len(tag) < 2 || tag[1] != plainTag && tag[1] != packedTag {
			continue // of others than go-micro
		}
		kind := tag[0]
		switch kind {
		case metadataTag, endpointTag:
		case versionTag:
			if encodings[kind] != 0 {
				continue
			}
		default:
			continue
		}
		if first := encodings[kind]; first != 0 && first != tag[1] {
			continue
		}
		if i >= maxTags || !d.add(&found, tag) {
			found.bad++
			continue
		}
		encodings[kind] = tag[1]
	}
	return found
}

// add decodes one tag into found.
func (d *tagDecoder) add(found *nodeTags, tag string) bool {
	text, ok := d.textOf(tag)
	if !ok {
		return false
	}
	switch tag[0] {
	case versionTag:
		found.version = string(text)
	case metadataTag:
		var pairs map[string]string
		if json.Unmarshal(text, &pairs) != nil {
			return false
		}
		if found.metadata == nil {
			found.metadata = make(map[string]string, len(pairs))
		}
		maps.Copy(found.metadata, pairs)
	case endpointTag:
		var endpoint *registry.Endpoint
		if json.Unmarshal(text, &endpoint) != nil || endpoint == nil {
			return false
		}
		found.endpoints = append(found.endpoints, endpoint)
	}
	return true
}

// textOf returns what a tag holds, until the next call.
func (d *tagDecoder) textOf(tag string) ([]byte, bool) {
	limit := min(maxTag, d.left)
	if len(tag) > 2*limit {
		return nil, false
	}
	if tag[1] == plainTag {
		d.left -= len(tag)
		return []byte(tag[2:]), true
	}
	d.packed = append(d.packed[:0], tag[2:]...)
	n, err := hex.Decode(d.packed, d.packed)
	if err != nil {
		return nil, false
	}
	from := bytes.NewReader(d.packed[:n])
	if again, ok := d.inflater.(zlib.Resetter); ok {
		err = again.Reset(from, nil)
	} else {
		var first io.ReadCloser
		if first, err = zlib.NewReader(from); err == nil {
			d.inflater = first
		}
	}
	if err != nil {
		return nil, false
	}
	d.text.Reset()
	_, err = d.text.ReadFrom(io.LimitReader(d.inflater, int64(limit)+1))
	d.left -= d.text.Len()
	return d.text.Bytes(), err == nil && d.text.Len() <= limit
}
