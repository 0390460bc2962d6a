// The policy in Go: keeps rows that failed or were slow, and one in N of the others.
package export_probe_plugin_sampler

import (
	"strconv"

	"wit_component/probe_plugin_columns"
	"wit_component/probe_plugin_config"
	"wit_component/probe_plugin_sampler"
	"wit_component/probe_plugin_schema"

	"go.bytecodealliance.org/pkg/wit/types"
)

var (
	slowNs, threshold uint64
	spin              bool
)

func Bind(schema probe_plugin_schema.EventSchema, config string) wit_types.Result[[]uint32, string] {
	refuse := wit_types.Err[[]uint32, string]
	slowMs, fine := number("slow_ms", 100)
	if !fine {
		return refuse("`slow_ms` is not a whole number of milliseconds")
	}
	oneIn, fine := number("one_in", 10)
	if !fine || oneIn == 0 || oneIn >= 1<<32 {
		return refuse("`one_in` is " + strconv.FormatUint(oneIn, 10) + "; it may be 1 to 4294967295")
	}
	var duration, err, process int = -1, -1, -1
	for index, field := range schema.Fields {
		switch {
		case field.Use == probe_plugin_schema.FieldUseDuration:
			duration = index
		case field.Use == probe_plugin_schema.FieldUseError:
			err = index
		case field.Name == "process.pid":
			process = index
		}
	}
	switch {
	case duration < 0:
		return refuse("this probe's events have no duration")
	case err < 0:
		return refuse("this probe's events do not tell whether they failed")
	case process < 0:
		return refuse("this probe's events have no `process.pid`")
	}
	slowNs = slowMs * 1_000_000
	threshold = (1<<32 - 1<<32/oneIn) << 24
	spin = setting("spin") == "true"
	return wit_types.Ok[[]uint32, string]([]uint32{uint32(duration), uint32(err), uint32(process)})
}

func Decide(rows uint32, columns []probe_plugin_columns.Column) wit_types.Result[probe_plugin_sampler.Decisions, string] {
	for spin {
	}
	durations, offsets, processes := columns[0].U64(), columns[1].Text().Offsets, columns[2].U32()
	thresholds, randomness := make([]uint64, rows), make([]uint64, rows)
	for row := range thresholds {
		if durations[row] <= slowNs && offsets[row] == offsets[row+1] {
			thresholds[row] = threshold
		}
		randomness[row] = uint64(mix(processes[row])) << 24
	}
	return wit_types.Ok[probe_plugin_sampler.Decisions, string](probe_plugin_sampler.Decisions{Thresholds: thresholds, Randomness: randomness})
}

func Tune(stats probe_plugin_sampler.Stats) wit_types.Option[probe_plugin_sampler.KernelPlan] {
	return wit_types.None[probe_plugin_sampler.KernelPlan]()
}

// The JSON text of a setting; empty if there is none.
func setting(key string) string {
	if value := probe_plugin_config.Get(key); value.Tag() == wit_types.OptionSome {
		return value.Some()
	}
	return ""
}

func number(key string, otherwise uint64) (uint64, bool) {
	text := setting(key)
	if text == "" {
		return otherwise, true
	}
	value, err := strconv.ParseUint(text, 10, 40)
	return value, err == nil
}

// The finaliser of MurmurHash3: every bit of the input reaches every bit of the output.
func mix(word uint32) uint32 {
	word = (word ^ word>>16) * 0x85ebca6b
	word = (word ^ word>>13) * 0xc2b2ae35
	return word ^ word>>16
}
