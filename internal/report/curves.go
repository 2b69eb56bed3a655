package report

func Curves(path, title string, ms []Metrics) error { return nil }
