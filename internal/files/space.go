package files

// Meter is an FS (optional) that can tell how much room there is.
type Meter interface {
	// Space tells of the file system that a folder is in.
	Space(dir string) (Space, error)
}

// usualDescriptors is how many files may be open where the system does not say.
const usualDescriptors = 256

// Asker is an FS (optional) that can tell whether something could be written.
type Asker interface {
	// CanWrite tells, with the system's error, why this user could make no file in a folder; nil: nothing speaks
	// against it.
	CanWrite(dir string) error
}

// Syncer is an FS (optional) that can sync many files faster than one by one.
type Syncer interface {
	// SyncAll makes durable what is in the file system that a folder is in, names too. errors.ErrUnsupported: it has no
	// such thing.
	SyncAll(dir string) error
}

// Space is the room in a file system, for this user.
type Space struct {
	Free, Total           int64 // bytes
	FilesFree, FilesTotal int64
}

// Known tells that the numbers of bytes make sense: some file systems, of networks or in user space, give zeros, or
// more free than there is.
func (s Space) Known() bool { return s.Total > 0 && s.Free >= 0 && s.Free <= s.Total }

// FilesKnown is the same of the numbers of files, which many file systems do not count.
func (s Space) FilesKnown() bool {
	return s.FilesTotal > 0 && s.FilesFree >= 0 && s.FilesFree <= s.FilesTotal
}
