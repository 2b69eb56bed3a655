package parquet

// What reading a file may take, so that one that is made to hurt is refused soon. Files as they are written have less
// than a tenth of each.
const (
	// Buffers that are held at a time, 2x the file and 32 MB: a page as it lies in the file, and unpacked, of each
	// column, and the dictionaries. Pictures do not get smaller by packing, so 2x is a file of a single packed page.
	// The garbage collector may let twice as much stand.
	heldTimes, heldMore = 2, 32 << 20
	// Bytes that are given out or unpacked in one reading, 100x the file and 64 MB. Rows may share an entry of a
	// dictionary, and a kilobyte of zstd may unpack to megabytes.
	outTimes, outMore = 100, 64 << 20

	maxElements = 10_000    // of the schema: columns, and structs around them
	maxName     = 1 << 10   // bytes of a column's name
	maxGroups   = 1 << 17   // row groups; push_to_hub writes one a 100 rows, some 50 a file
	maxInfo     = 2 << 20   // bytes of what `datasets` says of the columns; 21,000 long names have one million
	maxHeader   = 256 << 10 // bytes of a page's header: 20, and the column's smallest and largest value
	firstHeader = 512       // as much is read first
)
