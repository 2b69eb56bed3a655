package data

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// ilsvrcTar begins the names of the tars that ILSVRC2012 comes in.
const ilsvrcTar = "ilsvrc2012_img_"

// withArchives adds tars, tars in gzip and zips that lie in a folder or a zip: at its top all of them where there are
// no pictures, else ILSVRC2012's tars only, because one of the two may be unpacked already; and in the folder of a part
// those of its classes, where there is nothing else in it. Where there is nothing else at all, those in the uppermost
// folders that hold any. An archive counts as if it were unpacked into a folder, as under says. open lists one by its
// name. Where that fails the listing's store is closed.
func (l *listing) withArchives(root string, open func(name string) (*listing, error)) (*listing, error) {
	names := l.archives()
	if len(names) == 0 {
		return l, nil
	}
	return l.join(root, names, open)
}

// join is the listing with these archives in it, but for those that can only be read through where that was not asked
// for: they are named as not used, or are an error where there is nothing else of what they hold.
func (l *listing) join(root string, names []string, open func(name string) (*listing, error)) (*listing, error) {
	notes, parts, err := l.shardsOf(root, names)
	if err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	counts := map[string]int{} // pictures, by shard
	j, unparted, passed := newJoin(l.kind), "", []string(nil)
	j.add(l, "", "", "")
	j.odd = l.odd
	j.form = "tars in a folder"
	if slices.ContainsFunc(names, func(name string) bool { return !isTar(name) }) {
		j.form = "archives in a folder"
	}
	for _, name := range names {
		inner, err := open(name)
		if e := (*SourceError)(nil); errors.As(err, &e) && e.Problem == OnlyThrough {
			passed = append(passed, name)
			continue
		}
		if err != nil {
			return nil, errors.Join(err, j.store.Close())
		}
		counts[name] = len(inner.files)
		if len(inner.files) == 0 {
			j.store.add(inner)
			j.leave(inner)
			continue
		}
		around := inner.unwrap()
		prefix := inner.under(name, parts)
		switch {
		case !inner.webdataset || inner.apart == nil && inner.saysItself():
		case prefix == "":
			unparted = name
		default:
			parts.parted = true
		}
		j.add(inner, prefix, name+"/", around)
	}
	for _, n := range notes {
		if err := n.compare(root, counts); err != nil {
			return nil, errors.Join(err, j.store.Close())
		}
	}
	if parts.parted && unparted != "" {
		return nil, errors.Join(&SourceError{Path: filepath.Join(root, unparted), Problem: NoPart}, j.store.Close())
	}
	for _, name := range passed {
		if !j.spares(parts.of[name]) {
			e := &SourceError{Path: root, Problem: OnlyThrough, Err: errors.New(text.Name(name))}
			return nil, errors.Join(e, j.store.Close())
		}
		j.unused = append(j.unused, Unused{Why: InOrderOnly, Name: name})
	}
	return j.whole(), nil
}

// spares tells whether there is something else than an archive of a part that can only be read through: pictures, and
// of that part, where it is of one. Without these a share of others would be held out, and nobody would know.
func (l *listing) spares(wanted Part) bool {
	return slices.ContainsFunc(l.files, func(f Record) bool {
		first, _, inside := strings.Cut(f.Name, "/")
		part, is := partOf(first)
		if _, loose := imagenet.Validation(first); loose && !inside {
			part, is = ValPart, true
		}
		return wanted == "" || is && part == wanted || !is && wanted == TrainPart
	})
}

// listAll finds what is at several paths, as one listing.
func listAll(ctx context.Context, fsys files.Reader, paths []string, through bool) (*listing, error) {
	if err := missingShard(At(paths...).String(), paths); err != nil {
		return nil, err
	}
	j := newJoin(Tar)
	fail := func(err error) (*listing, error) { return nil, errors.Join(err, j.store.Close()) }
	type piece struct {
		of     *listing
		around string
		part   string // the folder of its name; "": it is not for one part, or says itself
		itself bool
	}
	pieces, parted := make([]piece, len(paths)), false
	var found, wds []string // what they are; which are shards
	for i, name := range paths {
		if slices.ContainsFunc(paths[:i], func(p string) bool { return filepath.Clean(p) == filepath.Clean(name) }) {
			return fail(&SourceError{Path: name, Problem: PathTwice})
		}
		l, err := list(ctx, fsys, name, through)
		if err != nil {
			return fail(err)
		}
		if len(l.files) == 0 {
			return fail(errors.Join(&SourceError{Path: name, Problem: NoPictures}, l.store.Close()))
		}
		j.store.add(l)
		p := piece{of: l, around: l.unwrap()}
		if p.itself = l.saysItself() || l.hasParts(); !p.itself {
			p.part = partFolder(paths, i)
		}
		if pieces[i] = p; l.webdataset && !p.itself {
			wds = append(wds, cleanSlash(name))
		}
	}
	written, err := partsBeside(fsys, At(paths...).String(), wds)
	if err != nil {
		return fail(err)
	}
	parted = written.parted
	for i := range pieces {
		p := &pieces[i]
		if name := cleanSlash(paths[i]); written.said[name] {
			p.part = string(written.of[name])
		}
		parted = parted || p.itself || p.part != ""
	}
	for i, p := range pieces {
		switch {
		case parted && !p.itself && p.part == "":
			return fail(&SourceError{Path: paths[i], Problem: NoPart})
		case p.part != "":
			p.part += "/"
		}
		if p.of.kind == Folder {
			j.kind = Folder
		}
		j.take(i, p.of, p.part, strings.TrimRight(filepath.ToSlash(paths[i]), "/")+"/", p.around)
		if form := cmp.Or(p.of.form, forms[p.of.kind]); !slices.Contains(found, form) {
			found = append(found, form)
		}
	}
	j.form = "several paths, each " + found[0]
	if len(found) > 1 {
		j.form = "several paths: " + strings.Join(found, " and ")
	}
	first := pieces[0].of
	if !slices.ContainsFunc(pieces, func(p piece) bool { return p.of.classes == nil }) {
		j.form = "prepared sets"
		if !slices.ContainsFunc(pieces, func(p piece) bool { return !slices.Equal(p.of.classes, first.classes) }) {
			j.classes = first.classes
		}
	}
	return j.whole(), nil
}

// join makes one listing of several.
type join struct {
	listing
	store   *stores
	readers map[string]func() ([]byte, error) // of notes, by name
	taken   []taken
}

// taken is a listing in a join.
type taken struct {
	of     *listing
	prefix string
	at     int // its first file in the join
}

func newJoin(kind Kind) *join {
	j := &join{store: &stores{}, readers: map[string]func() ([]byte, error){}}
	j.kind, j.listing.store = kind, j.store
	j.aside = func(name string) ([]byte, error) {
		if read := j.readers[name]; read != nil {
			return read()
		}
		return nil, fs.ErrNotExist
	}
	return j
}

// add adds a listing and its store. Its names get a prefix. Its files lie at what is put before their names, with a
// slash at the end; "": where they did. around is what unwrap gave for the listing.
func (j *join) add(l *listing, prefix, at, around string) {
	j.store.add(l)
	j.take(len(j.store.all)-1, l, prefix, at, around)
}

// take is add of a listing whose store is in the join already, as number k.
func (j *join) take(k int, l *listing, prefix, at, around string) {
	j.taken = append(j.taken, taken{l, prefix, len(j.files)})
	j.leave(l)
	for _, f := range l.files {
		r := Record{Name: prefix + f.Name, File: f.File, Number: f.Number + j.store.from[k]}
		if at != "" {
			r.File = at + cmp.Or(f.File, around+f.Name)
		}
		j.files = append(j.files, r)
	}
	for _, n := range l.notes {
		inside := prefix + strings.TrimPrefix(n, around) // the listing was unwrapped, but not its notes
		j.notes = append(j.notes, inside)
		j.readers[inside] = func() ([]byte, error) { return l.aside(n) }
	}
	j.named, j.webdataset = j.named || l.named, j.webdataset || l.webdataset
	if first, end, before := j.store.from[k], j.store.end(k), j.where; l.where != nil {
		j.where = func(number int32) string {
			if number >= first && number < end {
				return l.where(number - first)
			}
			if before == nil {
				return ""
			}
			return before(number)
		}
	}
	for class, read := range l.samples {
		if j.samples == nil {
			j.samples = map[string]func() ([]byte, error){}
		}
		j.samples[class] = read
	}
	j.unused = append(j.unused, l.unused...)
	j.dirs = append(j.dirs, prefixed(prefix, l.dirs)...)
	j.nowhere = append(j.nowhere, prefixed(prefix, l.nowhere)...)
	j.circles = append(j.circles, prefixed(prefix, l.circles)...)
}

// leave counts what a listing found left behind.
func (j *join) leave(l *listing) {
	for kind, n := range l.leftovers {
		j.leftovers.add(kind, n)
	}
}

// whole is the listing of all. Whether a picture is there twice is seen when all have their names.
func (j *join) whole() *listing {
	if slices.ContainsFunc(j.taken, func(t taken) bool { return t.of.apart != nil }) && j.twice() {
		for _, t := range j.taken {
			t.of.setApart(j.files[t.at:], t.prefix)
		}
	}
	j.listing.store = j.store.inOrder()
	return &j.listing
}

func prefixed(prefix string, names []string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = prefix + n
	}
	return all
}

// archiveExts are how the names of archives end.
var archiveExts = []string{".tar", ".tar.gz", ".tgz", ".zip", ".parquet"}

// stem is the name of an archive without its extension, and whether it is one by its name.
func stem(name string) (string, bool) {
	for _, ext := range archiveExts {
		if n := len(name) - len(ext); n > 0 && strings.EqualFold(name[n:], ext) {
			return name[:n], true
		}
	}
	return name, false
}

func isArchive(name string) bool {
	_, is := stem(name)
	return is
}

// noPictures are archives that belong to ILSVRC2012 and hold no pictures: the development kit and the boxes.
var noPictures = regexp.MustCompile(`(?i)^ilsvrc2012_(devkit|bbox)`)

// archives are those that withArchives reads.
func (l *listing) archives() (names []string) {
	filled := map[string]bool{} // folders at the top with pictures in them
	for _, f := range l.files {
		first, _, _ := strings.Cut(f.Name, "/")
		filled[first] = true
	}
	depth, least := func(name string) int { return strings.Count(name, "/") }, 0
	for _, name := range l.notes {
		if !isArchive(name) || noPictures.MatchString(path.Base(name)) {
			continue
		}
		dir, plain := path.Dir(name), isTar(name)
		part, is := partOf(dir)
		switch {
		case dir == ".":
			if len(l.files) == 0 || plain && strings.HasPrefix(strings.ToLower(name), ilsvrcTar) {
				names = append(names, name)
			}
		case !filled[dir] && is && (plain || part != TestPart):
			names = append(names, name)
		case least == 0 || depth(name) < least:
			least = depth(name)
		}
	}
	if len(names) > 0 || len(l.files) > 0 {
		return names
	}
	for _, name := range l.notes {
		if isArchive(name) && !noPictures.MatchString(path.Base(name)) && depth(name) == least {
			names = append(names, name)
		}
	}
	return names
}

// unread is an archive in an archive that holds no pictures otherwise, or "".
func (l *listing) unread() string {
	if len(l.files) > 0 {
		return ""
	}
	i := slices.IndexFunc(l.notes, func(name string) bool { return isArchive(name) && !isTar(name) })
	if i < 0 {
		return ""
	}
	return l.notes[i]
}

// under is the folder that an archive of that name counts as if it were unpacked into, with a slash at its end: one of
// its name, unless it says itself what it is, as it has folders for parts, or is one of ILSVRC2012's, or has each
// picture's class in its name. Then its name tells at most the part. In which part it is, is said by what is written
// beside it, or else by a folder that it lies in.
func (l *listing) under(name string, parts *shardParts) string {
	part := parts.of[name]
	switch {
	case l.webdataset && l.apart == nil && l.saysItself(): // shards in an archive
		return ""
	case l.webdataset, l.apart != nil: // datasets has train-00000-of-00294.parquet, its server train/0000.parquet
		return folderFor(part)
	}
	dir, base := path.Split(name)
	base, _ = stem(base)
	if parts.said[name] {
		switch dir = folderFor(part); {
		case l.saysItself() && !slices.ContainsFunc(l.files, func(f Record) bool { return !f.in(part) }):
			return ""
		case l.flat(), l.inFolders():
			return dir
		}
		return dir + base + "/"
	}
	if _, is := partOf(strings.TrimSuffix(dir, "/")); !is {
		inside, _ := partIn(dir)
		dir = folderFor(inside)
	}
	_, named := partNamed(base)
	_, exact := partOf(base)
	switch {
	case dir == "" && l.saysItself():
		return ""
	case l.flat():
		if dir == "" && named {
			dir = folderFor(part)
		}
		return dir
	case dir == "" && !exact && named && l.inFolders():
		return folderFor(part)
	}
	return dir + base + "/"
}

// in tells whether a picture of a listing that says itself what it is is of a part.
func (r *Record) in(part Part) bool {
	first, _, inside := strings.Cut(r.Name, "/")
	if !inside {
		return part == ValPart // one of ILSVRC2012's
	}
	own, _ := partOf(first)
	return own == part
}

// isFlatName tells whether a picture of a name needs no folder of its class, or has none.
func isFlatName(base string) bool {
	if _, _, is := endsInWNID(base); is {
		return true
	}
	key, ext, _ := cutLast(base, '.')
	number, val := strings.CutPrefix(key, "ILSVRC2012_val_")
	if !val {
		number, val = strings.CutPrefix(key, "ILSVRC2012_test_")
	}
	return val && len(number) == 8 && digits(number) && letters(ext)
}

// flat tells whether all pictures lie in no folders and have such names.
func (l *listing) flat() bool {
	return !slices.ContainsFunc(l.files, func(f Record) bool {
		return strings.Contains(f.Name, "/") || !isFlatName(f.Name)
	})
}

// inFolders tells whether every picture lies in a folder.
func (l *listing) inFolders() bool {
	return !slices.ContainsFunc(l.files, func(f Record) bool { return !strings.Contains(f.Name, "/") })
}

// saysItself tells whether every picture lies in a folder of a part, or has the name of one of ILSVRC2012's for
// validation.
func (l *listing) saysItself() bool {
	return !slices.ContainsFunc(l.files, func(f Record) bool {
		first, _, inside := strings.Cut(f.Name, "/")
		if !inside {
			_, ok := imagenet.Validation(first)
			return !ok
		}
		_, is := partOf(first)
		return !is
	})
}

// hasParts tells whether there are folders of parts with class folders in them.
func (l *listing) hasParts() bool {
	folders, _ := l.tops()
	for name, t := range folders {
		if _, is := partOf(name); is && len(t.files) > 0 {
			return true
		}
	}
	return false
}

// twice tells whether two pictures have one name.
func (l *listing) twice() bool {
	seen := make(map[string]bool, len(l.files))
	for _, f := range l.files {
		if seen[f.Name] {
			return true
		}
		seen[f.Name] = true
	}
	return false
}

// numbers is one more than the highest number of a picture.
func (l *listing) numbers() int32 {
	n := int32(0)
	for _, f := range l.files {
		n = max(n, f.Number+1)
	}
	return n
}

// stores are several stores as one: the numbers of each begin where those of the one before end.
type stores struct {
	all  []Store
	from []int32 // the first number of each
	next int32
}

// add takes the store of a listing, and gives the number that its first picture has from now on.
func (s *stores) add(l *listing) int32 {
	first := s.next
	s.all, s.from, s.next = append(s.all, l.store), append(s.from, first), first+l.numbers()
	return first
}

// end is one more than the last number of store k.
func (s *stores) end(k int) int32 {
	if k+1 < len(s.from) {
		return s.from[k+1]
	}
	return s.next
}

// inOrder is the store as one that can only be read in order, where one of them is.
func (s *stores) inOrder() Store {
	if !slices.ContainsFunc(s.all, isSequential) {
		return s
	}
	return &storesInOrder{s}
}

// storesInOrder are stores of which one or more can only be read in order.
type storesInOrder struct{ *stores }

func (s *storesInOrder) through(r *reader, each func(number int, raw []byte) error) error {
	for k, store := range s.all {
		first, end := int(s.from[k]), int(s.end(k))
		if only, is := store.(sequential); is {
			err := only.through(r, func(number int, raw []byte) error { return each(first+number, raw) })
			if err != nil {
				return err
			}
			continue
		}
		for i := first; i < end; i++ {
			if err := each(i, nil); err != nil { // Read has it
				return err
			}
		}
	}
	return nil
}

func (s *stores) Read(ctx context.Context, i int, buf []byte) ([]byte, error) {
	store, i := s.of(i)
	return store.Read(ctx, i, buf)
}

func (s *stores) readPipe(i int, buf []byte) ([]byte, error) {
	store, i := s.of(i)
	pipes, able := store.(piper)
	if !able {
		return nil, &NotFile{fs.ModeNamedPipe}
	}
	return pipes.readPipe(i, buf)
}

// of is the store that has picture i, and the number that it knows it by.
func (s *stores) of(i int) (Store, int) {
	k := s.which(i)
	return s.all[k], i - int(s.from[k])
}

// which is the place of that store.
func (s *stores) which(i int) int {
	k, found := slices.BinarySearch(s.from, int32(i))
	for ; found && k+1 < len(s.from) && s.from[k+1] == int32(i); k++ { // past stores of no pictures
	}
	if !found {
		k--
	}
	return k
}

// shard numbers the shards of each store apart from those of others.
func (s *stores) shard(i int) int32 {
	k := s.which(i)
	by, able := s.all[k].(sharded)
	if !able {
		return -1
	}
	shard := by.shard(i - int(s.from[k]))
	if shard < 0 {
		return -1
	}
	return shard*int32(len(s.all)) + int32(k)
}

// sums are those of all sets among the stores.
func (s *stores) sums() (all []uint32) {
	for _, store := range s.all {
		if m, able := store.(made); able {
			all = append(all, m.sums()...)
		}
	}
	return all
}

func (s *stores) prepared(i int) bool {
	store, i := s.of(i)
	m, able := store.(made)
	return able && m.prepared(i)
}

func (s *stores) soon(i int) {
	store, i := s.of(i)
	if told, able := store.(forewarned); able {
		told.soon(i)
	}
}

func (s *stores) place() string {
	var places []string
	for _, store := range s.all {
		if known, able := store.(stamped); able {
			places = append(places, known.place())
		}
	}
	return strings.Join(places, "\x00")
}

func (s *stores) stamp(i int) (stamp, error) {
	store, i := s.of(i)
	known, able := store.(stamped)
	if !able {
		return stamp{}, errors.ErrUnsupported
	}
	return known.stamp(i)
}

func (s *stores) check() *SourceFault {
	for _, store := range s.all {
		if c, able := store.(checker); able {
			if fault := c.check(); fault != nil {
				return fault
			}
		}
	}
	return nil
}

func (s *stores) Close() error {
	var failed []error
	for _, store := range s.all {
		failed = append(failed, store.Close())
	}
	return errors.Join(failed...)
}
