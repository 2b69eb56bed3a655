package main

// processRows is what is done to whole processes: the program is driven as a user would.
func processRows() []row { return []row{kills, signalled, races, outages, settings, leaks, preparing} }
