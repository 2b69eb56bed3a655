package config

import (
	"reflect"
	"sync"
)

// namedModel is the net of an embedded page, without its classes.
type namedModel struct {
	name  string
	model Model
}

var namedModels = sync.OnceValue(func() (all []namedModel) {
	for _, n := range Names() {
		page, err := Load(n, nil)
		if err != nil {
			panic(err) // a test loads them all
		}
		all = append(all, namedModel{n, withoutClasses(page.Model)})
	}
	return all
})

// NameOf is the embedded page that a net comes from: the first with the same layers, by name and kind, "" where there
// is none. same tells that every number agrees as well, but for those of classes, which follow the data.
func NameOf(m Model) (name string, same bool) {
	m = withoutClasses(m)
	for _, n := range namedModels() {
		switch {
		case reflect.DeepEqual(n.model, m):
			return n.name, true
		case name == "" && alike(n.model.Layers, m.Layers):
			name = n.name
		}
	}
	return name, false
}

func withoutClasses(m Model) Model {
	m.Classes, m.DefaultClasses = 0, 0
	m.Layers = append([]Layer(nil), m.Layers...)
	if i := LastWeighted(m.Layers); i >= 0 && m.Layers[i].Kind == FC {
		m.Layers[i].Units = 0
	}
	return m
}

func alike(a, b []Layer) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Kind != b[i].Kind {
			return false
		}
	}
	return true
}
