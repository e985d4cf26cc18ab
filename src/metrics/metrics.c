/* What a services object knows of itself, as numbers and as text. Touches no file. */
#include <errno.h>
#include <string.h>

#include "fsha/metrics.h"
#include "fsutil/fsu_path.h"
#include "src/election/election.h"
#include "src/metrics/exposition.h"
#include "src/result/error.h"
#include "src/services/services.h"

fsha_result fsha_metrics_read(fsha_services *s, fsha_metrics *ret_metrics, fsha_error *reterr)
{
	fsha_metrics m = { .struct_size = sizeof(m) };
	int64_t left_ns = 0;

	if (!s || !ret_metrics || ret_metrics->struct_size != sizeof(m))
		return error_set(reterr, FSHA_E_INVALID, 0, "metrics",
				 "an argument is NULL, or struct_size is not set");
	for (int i = 0; i < FSHA_OPERATIONS; i++)
		counters_read(&s->counters, (fsha_operation)i, &m.operations[i]);
	m.corrupt_records = atomic_load(&s->counters.corrupt_records);
	m.lease_ns = cluster_lease_ns(&s->cluster);
	services_lock(s);
	if (s->member && lease_is_alive(&s->member->lease))
		left_ns = lease_deadline_ns(&s->member->lease) - fsu_now_ns(services_fs(s));
	for (const struct fsha_election *e = s->elections; e; e = e->next) {
		m.elections += !e->closed;
		m.leading += !e->closed && election_leads(e);
	}
	for (const struct open_store *o = s->stores; o; o = o->next)
		m.stores += o->owners > 0;
	services_unlock(s);
	m.lease_left_ns = left_ns > 0 ? left_ns : 0;
	*ret_metrics = m;
	return FSHA_OK;
}

/* ---- as text ---- */

static void put_operations(struct exposition *x, const fsha_metrics *m)
{
	exposition_head(x, "fsha_operations_total", "counter",
			"Operations by outcome: done, refused, failed, fenced, in_doubt.");
	for (int i = 0; i < FSHA_OPERATIONS; i++) {
		const fsha_operation_metrics *o = &m->operations[i];
		const struct {
			const char *name;
			uint64_t count;
		} outcomes[] = {
			{ "done", o->done },         { "refused", o->refused },
			{ "failed", o->failed },     { "fenced", o->fenced },
			{ "in_doubt", o->in_doubt },
		};

		for (size_t j = 0; j < sizeof(outcomes) / sizeof(outcomes[0]); j++)
			exposition_printf(x,
					  "fsha_operations_total{cluster=\"%s\",operation=\"%s\","
					  "outcome=\"%s\"} %llu\n",
					  x->cluster, fsha_operation_text((fsha_operation)i),
					  outcomes[j].name, (unsigned long long)outcomes[j].count);
	}
}

static void put_histogram(struct exposition *x, const char *name, const fsha_operation_metrics *o)
{
	static const char metric[] = "fsha_operation_duration_seconds";
	char seconds[EXPOSITION_SECONDS];
	uint64_t sum = 0;

	for (unsigned i = 0; i < FSHA_METRICS_BUCKETS; i++) {
		int64_t bound_ns = fsha_metrics_bound_ns(i);

		sum += o->buckets[i];
		if (bound_ns == INT64_MAX)
			exposition_printf(
				x, "%s_bucket{cluster=\"%s\",operation=\"%s\",le=\"+Inf\"} %llu\n",
				metric, x->cluster, name, (unsigned long long)sum);
		else
			exposition_printf(
				x, "%s_bucket{cluster=\"%s\",operation=\"%s\",le=\"%s\"} %llu\n",
				metric, x->cluster, name,
				exposition_seconds_text(bound_ns, seconds),
				(unsigned long long)sum);
	}
	exposition_printf(x, "%s_sum{cluster=\"%s\",operation=\"%s\"} %s\n", metric, x->cluster,
			  name, exposition_seconds_text((int64_t)o->total_ns, seconds));
	/* Of the buckets, so that the two agree while others count on. */
	exposition_printf(x, "%s_count{cluster=\"%s\",operation=\"%s\"} %llu\n", metric, x->cluster,
			  name, (unsigned long long)sum);
}

/* What is listed under the mutex, and printed after it. */
struct election_line {
	char name[FSU_NAME_MAX + 1];
	bool leads;
	uint64_t epoch, grants;
};

static int take_elections(struct fsha_services *s, struct election_line **ret_lines,
			  size_t *ret_count)
{
	struct election_line *lines;
	size_t n = 0, len;

	services_lock(s);
	for (const struct fsha_election *e = s->elections; e; e = e->next)
		n++;
	lines = fsu_alloc(services_fs(s), (n + 1) * sizeof(*lines));
	n = 0;
	for (const struct fsha_election *e = s->elections; e && lines; e = e->next) {
		struct election_line *l = &lines[n];

		if (e->closed ||
		    fsu_path_decode(e->component, strlen(e->component), l->name, &len) < 0)
			continue;
		l->leads = election_leads(e);
		l->epoch = e->term ? e->term->epoch.number : 0;
		l->grants = e->grants;
		n++;
	}
	services_unlock(s);
	*ret_lines = lines;
	*ret_count = n;
	return lines ? 0 : -ENOMEM;
}

static void put_elections(struct exposition *x, const struct election_line *lines, size_t count)
{
	exposition_head(x, "fsha_is_leader", "gauge",
			"1 while this process leads the election, by its own clock.");
	for (size_t i = 0; i < count; i++)
		exposition_count(x, "fsha_is_leader", "election", lines[i].name, lines[i].leads);
	exposition_head(x, "fsha_term_epoch", "gauge",
			"Epoch of the term that this process holds; 0: none.");
	for (size_t i = 0; i < count; i++)
		exposition_count(x, "fsha_term_epoch", "election", lines[i].name, lines[i].epoch);
	exposition_head(x, "fsha_grants_total", "counter", "Terms that this process was granted.");
	for (size_t i = 0; i < count; i++)
		exposition_count(x, "fsha_grants_total", "election", lines[i].name,
				 lines[i].grants);
}

/* A store whose mutex is taken is at work, perhaps hanging: it is left out this time. */
static void put_stores(struct exposition *x, struct fsha_services *s)
{
	exposition_head(x, "fsha_store_entries", "gauge",
			"Values in the stores that this process has open, as it saw them last.");
	services_lock(s);
	for (struct open_store *o = s->stores; o; o = o->next) {
		if (!o->owners || pthread_mutex_trylock(&o->store->mutex) != 0)
			continue;
		exposition_count(x, "fsha_store_entries", "store", o->store->directory,
				 index_live(&o->store->index));
		(void)pthread_mutex_unlock(&o->store->mutex);
	}
	services_unlock(s);
}

static void put_all(struct exposition *x, struct fsha_services *s, const fsha_metrics *m)
{
	put_operations(x, m);
	exposition_head(x, "fsha_operation_duration_seconds", "histogram",
			"How long operations took, whatever came of them.");
	for (int i = 0; i < FSHA_OPERATIONS; i++)
		put_histogram(x, fsha_operation_text((fsha_operation)i), &m->operations[i]);
	exposition_head(x, "fsha_corrupt_records_total", "counter",
			"Reads that met a damaged record.");
	exposition_count(x, "fsha_corrupt_records_total", NULL, NULL, m->corrupt_records);
	exposition_head(x, "fsha_lease_seconds", "gauge", "The cluster's lease.");
	exposition_seconds(x, "fsha_lease_seconds", NULL, NULL, m->lease_ns);
	exposition_head(
		x, "fsha_lease_left_seconds", "gauge",
		"Until this process must stop leading if no heartbeat succeeds; 0: it is no "
		"member.");
	exposition_seconds(x, "fsha_lease_left_seconds", NULL, NULL, m->lease_left_ns);
	put_stores(x, s);
}

fsha_result fsha_metrics_text(fsha_services *s, char **ret_text, size_t *ret_size,
			      fsha_error *reterr)
{
	fsha_metrics m = { .struct_size = sizeof(m) };
	struct election_line *lines;
	struct exposition x;
	size_t count;

	if (!s || !ret_text || !ret_size)
		return error_set(reterr, FSHA_E_INVALID, 0, "metrics", "an argument is NULL");
	exposition_init(&x, services_fs(s), &s->cluster.id);
	(void)fsha_metrics_read(s, &m, NULL); /* its arguments are good */
	if (take_elections(s, &lines, &count) < 0)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write the metrics");
	put_all(&x, s, &m);
	put_elections(&x, lines, count);
	fsu_release(services_fs(s), lines);
	if (exposition_end(&x, ret_text, ret_size) < 0)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write the metrics");
	return FSHA_OK;
}
