package wire

// pair is one entry of a map<string,string>.
type MapEntry struct{ Key, Value []byte }

// readPair reads one entry of a map.
func readMapEntry(entry []byte) (p MapEntry, ok bool) {
	var f Field
	for len(entry) > 0 {
		n := f.Read(entry)
		if n == 0 {
			return p, false
		}
		entry = entry[n:]
		switch f.Tag {
		case 1<<3 | Bytes:
			p.Key = f.Bytes
		case 2<<3 | Bytes:
			p.Value = f.Bytes
		}
	}
	return p, true
}
