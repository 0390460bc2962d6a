/* Which events pass. Two layers, both written by the host:
 *
 * - `filter`, constant once loaded: the verifier removes conditions that are not set, so they cost nothing.
 * - the *plan*, which a sampler may change at any time: thresholds by pid, cgroup or comm, and a minimum duration.
 *
 * Both apply to the owner of an event, which may be another task than the current one. Include after vmlinux.h and ring.h. */
#pragma once

#include <bpf/bpf_core_read.h>
#include "plain.h"

#define FILTER_RULES_MAX 2048 /* two plans of 1024 rules: the active one and the one being written */

struct filter_conditions {
	__u64 cgroup;	     /* id, 0 for any; descendants pass as well */
	__u32 cgroup_level;  /* depth of that cgroup below the root */
	__u32 pid;	     /* thread group, 0 for any */
	__u32 excluded_pid;  /* the host itself, 0 for none */
	__u32 by_comm;	     /* whether comm is a condition */
	__u64 comm[2];	     /* 16 bytes, NUL-padded */
};

const volatile struct filter_conditions filter SEC(".rodata.filter");

/* The owner of an event. */
struct filter_owner {
	__u32 pid;
	__u64 cgroup_id;
	__u64 comm[2];
};

struct filter_plan {
	__u64 threshold;       /* of owners without a rule, 0 to 2^56 */
	__u64 min_duration_ns; /* shorter events that did not fail are dropped */
	__u32 pid_rules;
	__u32 cgroup_rules;
	__u32 comm_rules;
	__u32 spare;
};

struct filter_plans {
	__u32 active; /* whether there is any plan */
	__u32 slot;   /* index of the active plan, 0 or 1 */
	struct filter_plan plans[2];
};

struct filter_plans filter_plans SEC(".data.plan");

enum filter_subject {
	FILTER_PID = 0,
	FILTER_CGROUP = 1,
	FILTER_COMM = 2,
};

struct filter_rule_key {
	__u32 slot;
	__u32 subject;
	__u64 value[2]; /* pid, cgroup id, or the 16 bytes of comm */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FILTER_RULES_MAX);
	__type(key, struct filter_rule_key);
	__type(value, __u64);
} filter_rules SEC(".maps");

/* === conditions === */

static __always_inline bool filter_pid(__u32 pid)
{
	if (filter.excluded_pid && pid == filter.excluded_pid)
		return false;
	return !filter.pid || pid == filter.pid;
}

static __always_inline bool filter_comm(const __u64 *comm)
{
	return !filter.by_comm || (comm[0] == filter.comm[0] && comm[1] == filter.comm[1]);
}

/* Whether the cgroup of the current task passes. */
static __always_inline bool filter_current_cgroup(void)
{
	return !filter.cgroup || bpf_get_current_ancestor_cgroup_id(filter.cgroup_level) == filter.cgroup;
}

/* Whether a cgroup passes, such as that of a socket. */
static __always_inline bool filter_cgroup(struct cgroup *cgroup)
{
	struct cgroup___before_6_1 *old = (void *)cgroup;
	__u32 level = filter.cgroup_level;
	struct cgroup *ancestor = 0;
	__u64 id = 0;

	if (!filter.cgroup)
		return true;
	if (!cgroup || BPF_CORE_READ(cgroup, level) < (int)level)
		return false;
	if (bpf_core_field_exists(cgroup->ancestors)) {
		bpf_core_read(&ancestor, sizeof(ancestor), &cgroup->ancestors[level]);
		id = BPF_CORE_READ(ancestor, kn, id);
	} else if (bpf_core_field_exists(old->ancestor_ids)) {
		bpf_core_read(&id, sizeof(id), &old->ancestor_ids[level]);
	}
	return id == filter.cgroup;
}

/* Same for the current task, for both variants: tracing programs may call the helper from Linux 5.12 on. */
static __always_inline bool filter_task_cgroup(const bool plain)
{
	struct task_struct *task;

	if (!plain)
		return filter_current_cgroup();
	task = current_task(plain);
	return filter_cgroup(BPF_CORE_READ(task, cgroups, dfl_cgrp));
}

/* === plan === */

static __always_inline struct filter_plan *filter_plan(void)
{
	return &filter_plans.plans[*(volatile __u32 *)&filter_plans.slot & 1];
}

static __always_inline __u64 *filter_rule(__u32 slot, __u32 subject, __u64 low, __u64 high)
{
	struct filter_rule_key key = {.slot = slot, .subject = subject, .value = {low, high}};

	return bpf_map_lookup_elem(&filter_rules, &key);
}

/* Not inlined: it runs only if there is a plan, and programs that call it from more than one place stay small. */
static __noinline __u64 filter_planned_threshold(const struct filter_owner *owner)
{
	__u32 slot = *(volatile __u32 *)&filter_plans.slot & 1;
	struct filter_plan *plan = &filter_plans.plans[slot];
	__u64 *rule = 0;

	if (!owner)
		return 0;
	if (plan->pid_rules)
		rule = filter_rule(slot, FILTER_PID, owner->pid, 0);
	if (!rule && plan->cgroup_rules)
		rule = filter_rule(slot, FILTER_CGROUP, owner->cgroup_id, 0);
	if (!rule && plan->comm_rules)
		rule = filter_rule(slot, FILTER_COMM, owner->comm[0], owner->comm[1]);
	return rule ? *rule : plan->threshold;
}

/* Samples at random: false drops the event. `threshold` is set to the threshold that the record has to carry. */
static __always_inline bool filter_draw(const struct filter_owner *owner, __u64 *threshold)
{
	__u64 randomness;

	*threshold = 0;
	if (!*(volatile __u32 *)&filter_plans.active)
		return true;
	*threshold = filter_planned_threshold(owner);
	if (!*threshold)
		return true;
	randomness = ((__u64)bpf_get_prandom_u32() << 24) | (bpf_get_prandom_u32() >> 8);
	return randomness >= *threshold;
}

/* Whether an event that did not fail has at least the plan's minimum duration. */
static __always_inline bool filter_duration(__u64 duration_ns)
{
	return !*(volatile __u32 *)&filter_plans.active || duration_ns >= filter_plan()->min_duration_ns;
}
