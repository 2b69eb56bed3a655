package data

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"alexnet/internal/text"
)

// tarLink is a link in a tar.
type tarLink struct {
	name   string
	target string // of a symbolic link, as it stands; of a hard link, a name in the tar after a slash
	off    int64  // of the entry's end: the last of several entries of one name counts
}

// tarNode is a file, a folder or a link in a tar. A folder need not have an entry of its own.
type tarNode struct {
	parent   *tarNode            // nil: the root
	children map[string]*tarNode // of a folder, by name; nil: it has none
	span     extent              // of a file
	off      int64               // of its last entry; 0: it has none
	folder   bool                // has an entry that says so
	link     string              // where it leads; "": it is no link. What lies in it, by its name, goes before that
}

func (n *tarNode) isFolder() bool { return n.folder || n.children != nil }

// tarTree is a tar as it would be on a disk, were it unpacked: what links lead to is looked up there, hidden files
// included.
type tarTree struct {
	root  tarNode
	found *tarIndex // to be listed anew
	steps int       // files and folders met behind links, and how many there may be
	most  int
}

// What links may do: as many hops as Linux follows, and each entry of a tar may be behind 64 of them, those of a small
// tar behind some more. Without that bound a tar of folders of links to folders of links would be listed for ever.
const (
	maxHops   = 40
	maxLinked = 64
	anyLinked = 1 << 16
)

// follow lists the tar anew, with the links that lead to something in it. What is known of the tar besides its entries
// stays.
func (x *tarIndex) follow(ctx context.Context) error {
	entries := len(x.files) + len(x.aside) + len(x.dirs) + len(x.links)
	t := &tarTree{found: &tarIndex{}, most: anyLinked + maxLinked*entries}
	for _, m := range slices.Concat(x.aside, x.files) {
		if n := t.at(m.name); n.off <= m.span.off {
			n.off, n.span, n.link = m.span.off, m.span, ""
		}
	}
	for _, l := range x.links {
		if n := t.at(l.name); n.off <= l.off {
			n.off, n.link = l.off, l.target
		}
	}
	for _, d := range x.dirs {
		t.at(d).folder = true
	}
	err := t.list(ctx, &t.root, "", map[*tarNode]bool{}, false)
	x.files, x.aside, x.dirs, x.links = t.found.files, t.found.aside, t.found.dirs, nil
	x.nowhere, x.circles = t.found.nowhere, t.found.circles
	return err
}

// at is the node of a name, which is made where it is not there.
func (t *tarTree) at(name string) *tarNode {
	n := &t.root
	for part := range strings.SplitSeq(name, "/") {
		child := n.children[part]
		if child == nil {
			child = &tarNode{parent: n}
			if n.children == nil {
				n.children = map[string]*tarNode{}
			}
			n.children[part] = child
		}
		n = child
	}
	return n
}

// list lists a folder under a name. above are the folders that it is listed in; linked says that one of them is a link.
func (t *tarTree) list(ctx context.Context, dir *tarNode, name string, above map[*tarNode]bool, linked bool) error {
	above[dir] = true
	defer delete(above, dir)
	if err := ctx.Err(); err != nil {
		return err
	}
	var gone []string
	pictures, folders := 0, 0
	for _, part := range slices.Sorted(maps.Keys(dir.children)) {
		child, full := dir.children[part], path.Join(name, part)
		if hidden(full) {
			continue
		}
		if linked {
			t.steps++
		}
		if t.steps > t.most {
			return fmt.Errorf("its links lead to more than %s files", text.Grouped(int64(t.most)))
		}
		hops := 0
		end := t.end(child, &hops)
		switch {
		case end == nil, len(full) > maxTarName:
			gone = append(gone, full)
		case above[end]:
			t.found.circles = append(t.found.circles, full)
		case end.isFolder():
			folders++
			t.found.dirs = append(t.found.dirs, full)
			if err := t.list(ctx, end, full, above, linked || end != child); err != nil {
				return err
			}
		case noPicture(full):
			t.found.aside = append(t.found.aside, member{full, end.span})
		default:
			pictures++
			t.found.files = append(t.found.files, member{full, end.span})
		}
	}
	for _, full := range gone {
		if folderGone(full, pictures, folders) {
			t.found.dirs = append(t.found.dirs, full)
		}
		if !noPicture(full) {
			t.found.nowhere = append(t.found.nowhere, full)
		}
	}
	return nil
}

// end is the file or folder that a node is or leads to, nil where that is not in the tar.
func (t *tarTree) end(n *tarNode, hops *int) *tarNode {
	for n != nil && n.link != "" && n.children == nil {
		if *hops++; *hops > maxHops {
			return nil
		}
		n = t.lookUp(n.parent, n.link, hops)
	}
	return n
}

// lookUp is the node of a link's target as seen from a folder. A target from the root on is one from the root of the
// tar: a tar of absolute names has none of them begin with a slash. Whatever leads above the root is not there.
func (t *tarTree) lookUp(from *tarNode, target string, hops *int) *tarNode {
	if strings.HasPrefix(target, "/") {
		from = &t.root
	}
	for part := range strings.SplitSeq(target, "/") {
		if from = t.end(from, hops); from == nil {
			return nil
		}
		switch part {
		case "", ".":
		case "..":
			from = from.parent
		default:
			from = from.children[part]
		}
	}
	return from
}
