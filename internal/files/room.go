package files

// NoInodes tells whether the disk that the folder dir lies in has room, but next to no inodes left for other files:
// whoever failed to make one may have removed some of its own since, and the folder too.
func NoInodes(dir string) bool {
	meter, ok := OS.(Meter)
	if !ok {
		return false
	}
	at, _, err := Standing(OS, dir)
	if err != nil {
		return false
	}
	s, err := meter.Space(at)
	return err == nil && s.noInodes()
}

// Next to none.
const (
	fewInodes = 16
	fewBytes  = 1 << 16
)

// noInodes goes by the numbers of the file system: some count no inodes, and then have none in all.
func (s Space) noInodes() bool {
	return s.FilesTotal > 0 && s.FilesFree <= fewInodes && s.Free > fewBytes
}
