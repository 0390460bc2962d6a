/* Reads the ring of limit.bpf.c, counts the records and throws them away: no reader that keeps them can be cheaper.
 * limit OBJECT PID. Writes `ready`, reads until SIGTERM or SIGINT, writes one line of JSON. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include "record.h"

static volatile sig_atomic_t stopped;
static unsigned long long events, with_path;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static int on_record(void *context, void *data, size_t size)
{
	const struct limit_record *record = data;

	(void)context;
	(void)size;
	events++;
	with_path += record->path[0] != 0;
	return 0;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct bpf_map *map_named(struct bpf_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!map)
		die(name);
	return map;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	unsigned long long lost = 0;
	struct bpf_program *program;
	struct bpf_object *object;
	struct ring_buffer *ring;
	unsigned int zero = 0, *only_pid;
	__u64 *per_cpu;
	size_t size;

	if (argc != 3) {
		fprintf(stderr, "usage: limit OBJECT PID\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		die("open");
	only_pid = (unsigned int *)bpf_map__initial_value(map_named(object, ".rodata"), &size);
	*only_pid = strtoul(argv[2], NULL, 10);
	if (bpf_object__load(object))
		die("load");
	bpf_object__for_each_program(program, object) {
		if (!bpf_program__attach(program))
			die("attach");
	}
	ring = ring_buffer__new(bpf_map__fd(map_named(object, "ring")), on_record, NULL, NULL);
	if (!ring)
		die("ring");
	puts("ready");
	fflush(stdout);

	while (!stopped) {
		/* Woken at 256 KiB; what is less is fetched every 10 ms. */
		ring_buffer__poll(ring, 10);
		ring_buffer__consume(ring);
	}
	ring_buffer__consume(ring);

	per_cpu = calloc(libbpf_num_possible_cpus(), sizeof(*per_cpu));
	if (!per_cpu || bpf_map_lookup_elem(bpf_map__fd(map_named(object, "lost")), &zero, per_cpu))
		die("lost");
	for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
		lost += per_cpu[cpu];
	printf("{\"events\":%llu,\"lost\":%llu,\"with_path\":%llu}\n", events, lost, with_path);
	return 0;
}
