package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// Columns of a list by the names that its first line gives them, in small letters.
var (
	pathColumns  = []string{"path", "file", "filename", "filepath", "file_path", "image", "image_path"}
	labelColumns = []string{"label", "class", "class_name", "wnid"}
	partColumns  = []string{"split", "part", "set"}
)

// maxList is the largest list that is read, and maxListed the most pictures: more than the largest collections have.
const (
	maxList   = 1 << 30
	maxListed = 1 << 25
)

// listForm is how the lines of a list are to be taken apart.
type listForm struct {
	separator         rune // comma, tab, semicolon; blank: the label is what follows the last one
	path, label, part int  // columns; -1: there is none
	header            bool
}

// isText tells whether the first bytes of a file may be those of a list: text in UTF-8 or an encoding like it.
func isText(head []byte) bool {
	return len(head) > 0 && !bytes.ContainsFunc(head, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == 0x7f
	})
}

// listList finds the pictures that a list names, a picture and its label a line: "PATH LABEL", or columns of a CSV.
// Paths begin at the list's folder. Their names are as if they lay in folders of their labels. A file that is no list
// is nil.
func listList(ctx context.Context, fsys files.Reader, name string) (*listing, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, &SourceError{Path: name, Problem: NotOpened, Err: err}
	}
	defer f.Close() //nolint:errcheck // only read
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if n == 0 && errors.Is(err, io.EOF) && slices.Contains(listExts, strings.ToLower(filepath.Ext(name))) {
		return nil, &SourceError{Path: name, Problem: BadList, Err: errors.New("it is empty")}
	}
	if head = head[:n]; err != nil && !errors.Is(err, io.EOF) || !isText(head) || files.IsPointer(head) {
		return nil, nil //nolint:nilnil // as documented
	}
	root := filepath.Dir(name)
	info, err := fsys.Stat(root)
	if err != nil {
		return nil, &SourceError{Path: name, Problem: NotOpened, Err: err}
	}
	store := &folderStore{fsys: fsys, root: root, folders: map[string]fs.FileInfo{"": info}}
	first, _, _ := bytes.Cut(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), "\r\n"), []byte("\n"))
	form, ok := formOf(string(first), func(at string) bool {
		info, err := fsys.Stat(store.path(at))
		return err == nil && info.Mode().IsRegular()
	})
	if !ok {
		return nil, notList(name, root, string(first))
	}
	list, err := f.Stat()
	if err == nil && list.Size() > maxList {
		err = fmt.Errorf("%s bytes, more than %s", text.Grouped(list.Size()), text.Grouped(maxList))
	}
	if err != nil {
		return nil, &SourceError{Path: name, Problem: NotRead, Err: err}
	}
	l := &listing{kind: Folder, store: store, named: true, form: "a list of pictures"}
	l.aside = func(note string) ([]byte, error) {
		return readFile(fsys, filepath.Join(root, filepath.FromSlash(note)), nil)
	}
	for _, note := range classFiles {
		if info, err := fsys.Stat(filepath.Join(root, note)); err == nil && info.Mode().IsRegular() {
			l.notes = append(l.notes, note)
		}
	}
	seen, several := map[string]int32{}, map[string]bool{} // by path: the picture's number; by name: others have it too
	var lines []int32                                      // by number
	l.where = func(number int32) string { return fmt.Sprintf("line %d", lines[number]) }
	err = form.each(ctx, io.NewSectionReader(f, 0, list.Size()), func(line int, at, label, split string) error {
		name, err := listedName(at, label, split)
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if len(store.names) >= maxListed {
			return fmt.Errorf("line %d: more than %s pictures", line, text.Grouped(maxListed))
		}
		clean := path.Clean(filepath.ToSlash(at))
		if before, is := seen[clean]; is {
			if l.files[before].Name == name {
				return fmt.Errorf("line %d: %s is there twice, first in line %d", line, text.Name(at), lines[before])
			}
			if other := classIn(l.files[before].Name); other != label {
				return fmt.Errorf("line %d: %s has label %s, and in line %d label %s", line, text.Name(at),
					text.Name(label), lines[before], text.Name(other))
			}
		}
		seen[clean] = int32(len(store.names))
		lines = append(doubled(lines), int32(min(line, math.MaxInt32)))
		_, there := several[name]
		several[name] = there
		l.files = append(doubled(l.files), Record{Name: name, File: at, Number: int32(len(store.names))})
		store.names = append(doubled(store.names), at)
		return nil
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil && len(l.files) == 0 {
		err = errors.New("it names no pictures")
	}
	if err != nil {
		return nil, &SourceError{Path: name, Problem: BadList, Err: err}
	}
	store.names = slices.Clone(store.names) // without the room to grow
	names := make([]string, len(l.files))
	for i, f := range l.files {
		if names[i] = f.Name; several[f.Name] {
			l.files[i].Name = apartName(f.Name, f.File)
		}
	}
	l.apart = func(i int) string { return apartName(names[i], store.names[i]) }
	return l, nil
}

// apartName is a name that no other path gives: it ends in a tilde and 16 digits of the FNV-1a hash of the path.
func apartName(name, at string) string {
	ext := path.Ext(name)
	return fmt.Sprintf("%s~%016x%s", strings.TrimSuffix(name, ext), shards.Hash(path.Clean(filepath.ToSlash(at))), ext)
}

// doubled has room for one more: append makes long slices longer by a quarter, and leaves four times as much behind.
func doubled[T any](all []T) []T {
	if len(all) == cap(all) {
		return slices.Grow(all, max(len(all), 1))
	}
	return all
}

// listExts are how the names of lists end.
var listExts = []string{".txt", ".csv", ".tsv", ".lst"}

// notList is why a text is not taken for a list of pictures, by its first line: what was looked for and is not there.
// nil: it may be something else.
func notList(name, root, line string) error {
	line = strings.TrimRight(line, "\r\n")
	bad := func(format string, args ...any) error {
		return &SourceError{Path: name, Problem: BadList, Err: fmt.Errorf("line 1: "+format, args...)}
	}
	listed := slices.Contains(listExts, strings.ToLower(filepath.Ext(name)))
	fields, separator, quote := []string(nil), "", error(nil)
	for _, r := range "\t,; " {
		some, err := fieldsOf(line, r)
		if err == nil && len(some) > 1 {
			fields, separator = some, string(r)
			break
		}
		if errors.Is(err, errOpenQuote) || errors.Is(err, errAfterQuote) && strings.ContainsRune(line, r) {
			quote = err
		}
	}
	switch {
	case len(fields) > 0 && isPictureName(fields[0]) && (separator == " " || len(fields) == 2):
		at := filepath.FromSlash(fields[0])
		if !filepath.IsAbs(at) {
			at = filepath.Join(root, at)
		}
		return bad("there is no picture %s", text.Name(at))
	case !listed:
		return nil
	case quote != nil && (len(fields) == 0 || separator == " "):
		return bad("%w", quote)
	case isPictureName(line) && len(fields) == 0:
		return bad("%s has no label", text.Name(line))
	case len(fields) > 0 && separator != " ":
		return bad("want columns %s and %s, and found %s", strings.Join(pathColumns, ", "),
			strings.Join(labelColumns, ", "), text.Name(strings.Join(fields, ", ")))
	}
	return bad("want a path and a label, or columns path and label")
}

// isPictureName tells whether a name ends as those of pictures do.
func isPictureName(name string) bool {
	return slices.Contains([]string{".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"},
		strings.ToLower(path.Ext(strings.TrimSpace(name))))
}

// formOf tells by the first line of a list how it is made, false where it is none. Where more than one way is possible,
// that one is it by which the picture is there.
func formOf(line string, there func(path string) bool) (listForm, bool) {
	for _, separator := range "\t,;" {
		fields, err := fieldsOf(line, separator)
		if err != nil || len(fields) < 2 {
			continue
		}
		column := func(names []string) int {
			for _, name := range names { // the first name is the likeliest
				i := slices.IndexFunc(fields, func(field string) bool {
					return strings.EqualFold(strings.TrimSpace(field), name)
				})
				if i >= 0 {
					return i
				}
			}
			return -1
		}
		form := listForm{separator, column(pathColumns), column(labelColumns), column(partColumns), true}
		if form.path >= 0 && form.label >= 0 {
			return form, true
		}
	}
	for _, separator := range "\t,; " {
		form := listForm{separator, 0, 1, -1, false}
		if fields, err := fieldsOf(line, form.separator); err == nil && len(fields) == 2 && there(fields[0]) {
			return form, true
		}
	}
	return listForm{}, false
}

// Of a line in quotes.
var (
	errOpenQuote  = errors.New("a quote without an end")
	errAfterQuote = errors.New("there is text after a closing quote")
)

// fieldsOf takes a line apart; its end is no part of it. Fields of columns may be in quotes, within a line.
func fieldsOf(line string, separator rune) (fields []string, err error) {
	if line = strings.TrimRight(line, "\r\n"); separator == ' ' {
		line = strings.TrimRight(line, " \t")
		cut := strings.LastIndexAny(line, " \t")
		if cut < 1 {
			return nil, errors.New("want a path, a blank and a label")
		}
		return []string{strings.TrimRight(line[:cut], " \t"), line[cut+1:]}, nil
	}
	for {
		field, rest, more := strings.Cut(line, string(separator))
		if strings.HasPrefix(line, `"`) {
			end := 1
			for ; end < len(line) && (line[end] != '"' || strings.HasPrefix(line[end:], `""`)); end++ {
				if line[end] == '"' {
					end++
				}
			}
			if end == len(line) {
				return nil, errOpenQuote
			}
			field = strings.ReplaceAll(line[1:end], `""`, `"`)
			var after string
			after, rest, more = strings.Cut(line[end+1:], string(separator))
			if strings.TrimSpace(after) != "" {
				return nil, errAfterQuote
			}
		}
		if fields = append(fields, field); !more {
			return fields, nil
		}
		if len(fields) == maxColumns {
			return nil, fmt.Errorf("more than %d columns", maxColumns)
		}
		line = rest
	}
}

// maxColumns is more than lists have.
const maxColumns = 64

// each gives the pictures of a list: path, label, and the part where a column says it. An error is do's, or says in
// which line what is wrong.
func (form *listForm) each(
	ctx context.Context, from io.Reader, do func(line int, path, label, split string) error,
) error {
	read := form.lines(from)
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		fields, line, err := read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == 0 && form.header:
			continue
		case len(fields) <= max(form.path, form.label):
			return fmt.Errorf("line %d: want a path and a label", line)
		}
		split := ""
		if form.part >= 0 && form.part < len(fields) {
			split = strings.TrimSpace(fields[form.part])
		}
		at, label := strings.TrimSpace(fields[form.path]), strings.TrimSpace(fields[form.label])
		err = do(line, at, label, split)
		if err != nil {
			return err
		}
	}
}

// lines reads the fields of line after line; empty lines are left out.
func (form *listForm) lines(from io.Reader) func() (fields []string, line int, err error) {
	r, line := &lineReader{from: from}, 0
	return func() ([]string, int, error) {
		for {
			raw, err := r.line()
			if err != nil {
				return nil, 0, err
			}
			line++
			if strings.TrimSpace(raw) == "" {
				continue
			}
			fields, err := fieldsOf(raw, form.separator)
			if err != nil {
				return nil, 0, fmt.Errorf("line %d: %w", line, err)
			}
			return fields, line, nil
		}
	}
}

// maxLine is the longest line of a list: a path and more.
const maxLine = 1 << 16

// lineReader refuses longer lines, whatever reads them, and passes over a byte order mark. Lines are parts of the
// blocks that are read: what is kept of all of them takes no more than the file.
type lineReader struct {
	from  io.Reader
	block [maxLine]byte
	rest  string // read, and not yet given
	ended bool
	begun bool
}

// line is the next line with its end.
func (r *lineReader) line() (string, error) {
	for {
		if end := strings.IndexByte(r.rest, '\n'); end >= 0 || r.ended && len(r.rest) > 0 {
			if end < 0 {
				end = len(r.rest) - 1
			}
			line := r.rest[:end+1]
			r.rest = r.rest[end+1:]
			if !r.begun {
				r.begun, line = true, strings.TrimPrefix(line, "\ufeff")
			}
			return line, nil
		}
		switch {
		case r.ended:
			return "", io.EOF
		case len(r.rest) > maxLine:
			return "", fmt.Errorf("a line of more than %s bytes", text.Grouped(maxLine))
		}
		n, err := io.ReadFull(r.from, r.block[:])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return "", err
		}
		var next strings.Builder
		next.Grow(len(r.rest) + n)
		next.WriteString(r.rest)
		next.Write(r.block[:n])
		r.rest, r.ended = next.String(), err != nil
	}
}

// classIn is the class in a name that listedName made.
func classIn(name string) string {
	first, rest, _ := strings.Cut(name, "/")
	if _, is := partOf(first); is && strings.Contains(rest, "/") {
		first, _, _ = strings.Cut(rest, "/")
	}
	return first
}

// listedName is the name of a listed picture: the part, where its path or a column says it, the class, and the path.
func listedName(at, label, split string) (string, error) {
	switch {
	case at == "" || strings.ContainsRune(at, 0):
		return "", errors.New("it names no picture")
	case len(at) > maxTarName:
		return "", fmt.Errorf("a path of more than %d bytes", maxTarName)
	case label == "":
		return "", errors.New("it has no label")
	case isNegative(label):
		return "", fmt.Errorf("label %s of %s is negative: want a class", label, text.Name(at))
	case !isClass(label):
		return "", fmt.Errorf("%s cannot be a class", text.Name(label))
	}
	rest := strings.TrimLeft(path.Clean(filepath.ToSlash(at)), "/")
	for strings.HasPrefix(rest, "../") {
		rest = rest[len("../"):]
	}
	prefix := ""
	if first, below, inside := strings.Cut(rest, "/"); inside {
		if _, is := partOf(first); is {
			prefix, rest = first+"/", below
		}
	}
	if split != "" {
		part, is := partOf(split)
		if !is {
			return "", fmt.Errorf("%s is no part of the data", text.Name(split))
		}
		if in, _ := partOf(strings.TrimSuffix(prefix, "/")); in != part {
			prefix = string(part) + "/"
		}
	}
	if _, is := imagenet.Validation(path.Base(rest)); is && prefix == "" {
		prefix = string(ValPart) + "/"
	}
	return prefix + inClass(label, rest), nil
}
