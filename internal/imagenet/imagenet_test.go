package imagenet

import (
	"fmt"
	"regexp"
	"testing"
)

// TestClasses holds the table to what is published: the order by WNID, IDs that are a permutation, unique names, and
// that no class has its place in both orders, which is why mixing them gives 0.1% right.
func TestClasses(t *testing.T) {
	all := All()
	if len(all) != Classes {
		t.Fatalf("%d classes", len(all))
	}
	wnid, ids, names := regexp.MustCompile(`^n[0-9]{8}$`), map[int]bool{}, map[string]bool{}
	for i, c := range all {
		if !wnid.MatchString(c.WNID) || i > 0 && all[i-1].WNID >= c.WNID {
			t.Errorf("class %d: WNID %q after %q", i, c.WNID, all[max(i-1, 0)].WNID)
		}
		if c.ID < 1 || c.ID > Classes || ids[c.ID] || c.ID-1 == i {
			t.Errorf("class %d: ID %d", i, c.ID)
		}
		if c.Name == "" || names[c.Name] || c.Synonyms == "" {
			t.Errorf("class %d: name %q, synonyms %q", i, c.Name, c.Synonyms)
		}
		ids[c.ID], names[c.Name] = true, true
		if at, ok := Place(c.WNID); !ok || at != i || Name(c.WNID) != c.Name {
			t.Errorf("Place(%s) = %d, %t; Name %q", c.WNID, at, ok, Name(c.WNID))
		}
	}
	// The development kit's readme: IDs 1, 2 and 3 are kit fox, English setter and Siberian husky.
	for id, want := range map[int]string{1: "n02119789", 2: "n02100735", 3: "n02110185"} {
		if at, _ := Place(want); all[at].ID != id {
			t.Errorf("%s has ID %d, want %d", want, all[at].ID, id)
		}
	}
	// Two classes are called crane in WordNet.
	if a, b := Name("n02012849"), Name("n03126707"); a != "crane bird" || b != "crane" {
		t.Errorf("the cranes are %q and %q", a, b)
	}
	for _, other := range []string{"", "cat", "n00000000", "n0144076", "n014407640", "N01440764"} {
		if _, ok := Place(other); ok || Name(other) != other {
			t.Errorf("Place(%q) is a class, Name %q", other, Name(other))
		}
	}
}

// TestValidation holds the labels to the first ten of the development kit's ground truth (IDs), and to its counts: 50
// pictures of each class.
func TestValidation(t *testing.T) {
	all := All()
	for i, id := range []int{490, 361, 171, 822, 297, 482, 13, 704, 599, 164} {
		name := fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", i+1)
		if at, ok := Validation(name); !ok || all[at].ID != id {
			t.Errorf("%s: ID %d, %t, want %d", name, all[at].ID, ok, id)
		}
	}
	count := map[int]int{}
	for n := range Validations {
		at, ok := Validation(fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", n+1))
		if !ok {
			t.Fatalf("picture %d has no label", n+1)
		}
		count[at]++
	}
	for at := range Classes {
		if count[at] != 50 {
			t.Errorf("class %d has %d validation pictures", at, count[at])
		}
	}
	for _, other := range []string{
		"ILSVRC2012_val_00000000.JPEG", "ILSVRC2012_val_00050001.JPEG", "ILSVRC2012_val_1.JPEG", "val_00000001.JPEG",
		"ILSVRC2012_test_00000001.JPEG", "ILSVRC2012_val_00000001", "._ILSVRC2012_val_00000001.JPEG",
	} {
		if _, ok := Validation(other); ok {
			t.Errorf("%s has a label", other)
		}
	}
}
