package parquet

import (
	"fmt"

	"alexnet/internal/text"
)

// Error says why a file cannot be read, and where.
type Error struct {
	Problem Problem
	Column  string // in dots, as image.bytes; empty: the footer or the file as a whole
	Group   int    // the row group, from 0, where Column is set
	At      int64  // the byte of the file where it was noticed
	Detail  string // what was met
	Err     error  // the cause, or nil
}

func (e *Error) Error() string {
	where := fmt.Sprintf("at byte %d", e.At)
	if e.Column != "" {
		where = fmt.Sprintf("column %s, row group %d, %s", text.Name(e.Column), e.Group, where)
	}
	s := fmt.Sprintf("parquet, %s: %s: %s", where, problems[e.Problem], e.Detail)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Problem is the kind of an Error.
type Problem int

// The problems of files.
const (
	Damaged     Problem = iota + 1 // cut off, a checksum that differs, numbers that cannot be
	NotParquet                     // it does not begin and end as Parquet files do
	Unsupported                    // a form that is not read: Detail names it
	NoPictures                     // no column of pictures, or none of labels
	TooLarge                       // more memory or work than a file of this size may take
	NotRead                        // the disk's or the network's failure: Err
)

var problems = map[Problem]string{
	Damaged: "damaged", NotParquet: "not a Parquet file", Unsupported: "of a form that is not read",
	NoPictures: "without pictures and labels", TooLarge: "too large", NotRead: "cannot be read",
}
