package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/machine"
	"alexnet/internal/report"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// dryRunResult is the document of train --dry-run --json: what the run would be.
type dryRunResult struct {
	Run           text.Raw       `json:"run"` // the folder that it would write to
	Data          dryRunData     `json:"data"`
	Epochs        int            `json:"epochs"`
	StepsPerEpoch uint64         `json:"steps_per_epoch"`
	Steps         uint64         `json:"steps"`      // in all
	StepsDone     uint64         `json:"steps_done"` // of a run that goes on
	Memory        []memoryNeed   `json:"memory"`
	Warnings      []string       `json:"warnings"`
	Frozen        []string       `json:"frozen,omitempty"` // layers with weights that stay as they are
	Net           *summaryResult `json:"net"`
	Init          *initResult    `json:"init,omitempty"`
}

// dryRunData is what there is to train on.
type dryRunData struct {
	Path       text.Raw   `json:"path"`
	Classes    []text.Raw `json:"classes"`
	Train      int        `json:"train"`
	Val        int        `json:"val"`
	HeldOut    bool       `json:"held_out"` // val is a share of the training pictures
	Test       int        `json:"test"`
	Unused     []string   `json:"unused"`
	Looked     int        `json:"looked_at"`  // training pictures that were read
	Unreadable int        `json:"unreadable"` // of these
}

// memoryNeed is what devices that share a memory take of it, and what there is.
type memoryNeed struct {
	Devices string `json:"devices"`
	Need    int64  `json:"need"`
	Allowed int64  `json:"allowed,omitempty"` // by the tightest limit, beyond what the process has; 0: none is known
	Limit   string `json:"limit,omitempty"`   // that limit
	Free    int64  `json:"free,omitempty"`    // now; 0: unknown
}

// lookAhead passes on what a run tells before its first step.
type lookAhead struct {
	phases
	notes []string
}

func (*lookAhead) Start(train.Start)    {}
func (*lookAhead) Step(report.Metrics)  {}
func (*lookAhead) Epoch(report.Metrics) {}

func (l *lookAhead) Note(n train.Note) {
	l.notes = append(l.notes, wordNote(n))
	l.t.Note("%s", wordNote(n))
}

// dryRun tells what the run would be, or fails as it would before its first step.
func (o *trainOptions) dryRun(ctx context.Context, to *train.Options, t *ui.Terminal) error {
	notes := &lookAhead{phases: phases{t: t}}
	to.Progress = notes
	look, err := train.Look(ctx, *to)
	if err != nil {
		return o.adviseFailure(err, to.Dir)
	}
	if look.Finished != nil {
		return reportTraining(look.Finished, to, t)
	}
	memory := make([]device.MemoryPlan, len(look.Memory))
	for i, m := range look.Memory {
		memory[i] = m.Plan
	}
	way := ""
	for _, x := range look.Exchange {
		way = x.Way
	}
	net, err := summaryWith(look.Arch, to.Config, to.Devices, memory, way)
	if err != nil {
		return err
	}
	net.Config = text.Raw(o.netName(to.Config))
	r := dryRunResult{
		Run: text.Raw(to.Dir.Path()), Epochs: look.Start.Epochs, StepsPerEpoch: look.Start.StepsPerEpoch,
		Steps:     look.Start.Steps,
		StepsDone: look.Start.First, Memory: memoryNeeds(to.Devices, memory), Warnings: notes.notes, Net: net,
		Frozen: to.Config.Model.Still(), Init: initOf(to.Init, look.Head),
		Data: dryRunData{
			Path: text.Raw(to.Source.Path), Classes: text.Raws(to.Source.Classes), Train: to.Source.Train.Len(),
			Val: to.Source.Val.Len(), HeldOut: to.Source.Split, Test: to.Source.Test.Len(), Unused: []string{},
			Looked: look.Looked, Unreadable: look.Bad,
		},
	}
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
	for _, u := range to.Source.Unused {
		r.Data.Unused = append(r.Data.Unused, u.String())
	}
	err = t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s\n\n", dataLine(to.Source, to.Config.Data.ValShare))
		printDryRun(w, &r, t.OutWidth)
	})
	if err != nil {
		return err
	}
	t.Note("this was a dry run: nothing was written")
	return nil
}

// netName is what to call the net of a configuration: as it was named, or the page that it comes from.
func (o *trainOptions) netName(cfg *config.Config) string {
	if o.net.config != "" {
		return o.net.config
	}
	switch name, same := config.NameOf(cfg.Model); {
	case name == "":
		return "a net of its own"
	case !same:
		return name + ", changed"
	default:
		return name
	}
}

// memoryNeeds compares what devices take with what there is: those with a memory of their own one by one, the others,
// which take the computer's, together.
func memoryNeeds(devices []device.Device, plans []device.MemoryPlan) (all []memoryNeed) {
	var hosted []string
	host := memoryNeed{}
	for i, d := range devices {
		if own, ok := d.(device.Meter); ok {
			need := memoryNeed{Devices: d.Name()}
			for _, item := range plans[i] {
				if item.Purpose != device.PurposePinned {
					need.Need += item.Bytes
				}
			}
			need.Free, _ = own.FreeMemory() // 0: the run will say what is wrong with it
			all = append(all, need)
			continue
		}
		hosted = append(hosted, d.Name())
		host.Need += plans[i].Total()
	}
	if len(hosted) == 0 {
		return all
	}
	m := machine.MemoryNow()
	host.Devices, host.Free = strings.Join(hosted, " and "), m.Available
	if limit := m.Tightest(); limit != nil {
		host.Allowed, host.Limit = limit.Spare(), limit.From
	}
	return append(all, host)
}

func printDryRun(w *bytes.Buffer, r *dryRunResult, width int) {
	printSummary(w, r.Net, width)
	fmt.Fprintln(w)
	for _, m := range r.Memory {
		fmt.Fprintf(w, "memory: %s on %s", text.Bytes(m.Need), m.Devices)
		if m.Limit != "" {
			fmt.Fprintf(w, ", of %s that %s leaves", text.Bytes(m.Allowed), m.Limit)
		}
		if m.Free > 0 {
			fmt.Fprintf(w, ", %s free now", text.Bytes(m.Free))
		}
		fmt.Fprintln(w)
	}
	if r.Data.Looked > 0 {
		fmt.Fprintf(w, "pictures looked at: %s of %s, %d unreadable\n", text.Grouped(int64(r.Data.Looked)),
			text.Grouped(int64(r.Data.Train)), r.Data.Unreadable)
	}
	fmt.Fprintf(w, "steps: %s an epoch (%s, batches of %d), %s in all (%s)", text.Grouped(int64(r.StepsPerEpoch)),
		text.Count(r.Data.Train, "picture"), r.Net.Batch, text.Grouped(int64(r.Steps)), text.Count(r.Epochs, "epoch"))
	if r.StepsDone > 0 {
		fmt.Fprintf(w, ", %s of them taken", text.Grouped(int64(r.StepsDone)))
	}
	fmt.Fprintf(w, "\nrun folder: %s\n", text.Name(r.Run))
}
