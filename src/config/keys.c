/*
 * The table of options. Adding an option is adding a row: reading, overriding by the environment,
 * checking, `fsha config` and the test of the man page all go by it.
 */
#include "src/config/keys.h"

#include <assert.h>
#include <string.h>

#include "src/config/config.h"

#define VARIABLE_PREFIX "FSHA_"
#define INT_MAX_VALUE 2147483647 /* Flink's numbers are Java's */

#define USE_DIRECTORY "'" FSHA_KEY_STORAGE_DIR "' takes the place of the servers"
#define FIXED_LAYOUT "the names below the cluster directory are fixed; leave it out"
#define USE_LEASE "write '" FSHA_KEY_LEASE "'"
#define NO_CLIENT "there are no connections to open again; the library repeats what failed"
#define USE_PERMISSIONS "the permissions of the shared directory protect it; leave it out"
#define NEVER_NEEDED "nothing of it is needed here; leave it out"

#define ZK "high-availability.zookeeper."
#define OLD_ZK "recovery.zookeeper."

/* Old names with the newest first, as Flink's scripts ask for them. */
const fsha_config_option config_options[] = {
	/* What the cluster is. */
	{ .key = FSHA_KEY_TYPE,
	  .old_keys = { "high-availability", "recovery.mode" },
	  .kind = FSHA_CONFIG_TEXT,
	  .form = "'filesystem', 'embedded' or 'NONE'",
	  .description = "how leaders are elected and where state is kept" },
	{ .key = FSHA_KEY_STORAGE_DIR,
	  .old_keys = { ZK "storageDir", OLD_ZK "storageDir" },
	  .short_variable = "FSHA_STORAGE_DIR",
	  .kind = FSHA_CONFIG_PATH,
	  .form = "'/a/directory/on/the/shared/filesystem'",
	  .description = "the shared directory, /path or file:///path; it must exist" },
	{ .key = FSHA_KEY_CLUSTER_ID,
	  .fallback = "/default",
	  .old_keys = { ZK "path.namespace", OLD_ZK "path.namespace" },
	  .short_variable = "FSHA_CLUSTER_ID",
	  .kind = FSHA_CONFIG_TEXT,
	  .form = "a name such as '/default'",
	  .description = "whose data, below the shared directory; may contain slashes" },
	{ .key = FSHA_KEY_LEASE,
	  .fallback = "10 s",
	  .short_variable = "FSHA_LEASE",
	  .kind = FSHA_CONFIG_DURATION,
	  .min = CONFIG_LEASE_MS_MIN,
	  .max = CONFIG_LEASE_MS_MAX,
	  .form = "'1 s' to '10 min'",
	  .description = "how long a leader may lead without reaching the directory; the same for "
			 "all members of a cluster" },
	{ .key = FSHA_KEY_POLL_INTERVAL,
	  .fallback = "200 ms",
	  .kind = FSHA_CONFIG_DURATION,
	  .min = CONFIG_POLL_MS_MIN,
	  .max = CONFIG_POLL_MS_MAX,
	  .form = "'10 ms' to '60 s'",
	  .description = "how often shared directories are looked at" },

	/* Where the job manager and its pages are. */
	{ .key = FSHA_KEY_JOB_MANAGER_PORTS,
	  .fallback = "0",
	  .old_keys = { "recovery.jobmanager.port" },
	  .kind = FSHA_CONFIG_PORTS,
	  .form = "a port, a range or a list, such as '50000-50025,50100'; 0 is any free port",
	  .description = "the ports that a job manager may take for its RPC service" },
	{ .key = FSHA_KEY_JOB_MANAGER_ADDRESS,
	  .kind = FSHA_CONFIG_TEXT,
	  .form = "a host name or an address",
	  .description = "the host of the job manager, where nothing is elected" },
	{ .key = FSHA_KEY_JOB_MANAGER_PORT,
	  .fallback = "6123",
	  .kind = FSHA_CONFIG_NUMBER,
	  .min = 1,
	  .max = 65535,
	  .form = "a port from 1 to 65535",
	  .description = "its port, where nothing is elected" },
	{ .key = FSHA_KEY_REST_ADDRESS,
	  .kind = FSHA_CONFIG_TEXT,
	  .form = "a host name or an address",
	  .description =
		  "the host of the REST endpoint; without it, " FSHA_KEY_JOB_MANAGER_ADDRESS },
	{ .key = FSHA_KEY_REST_PORT,
	  .fallback = "8081",
	  .old_keys = { "web.port" },
	  .kind = FSHA_CONFIG_NUMBER,
	  .max = 65535,
	  .form = "a port from 0 to 65535",
	  .description = "the port of the REST endpoint" },
	{ .key = FSHA_KEY_REST_SSL,
	  .fallback = "false",
	  .old_keys = { "security.ssl.enabled" },
	  .kind = FSHA_CONFIG_BOOLEAN,
	  .form = "'true' or 'false'",
	  .description = "whether the REST endpoint is reached by https" },

	/* Checkpoints. */
	{ .key = FSHA_KEY_CHECKPOINTS_RETAINED,
	  .fallback = "1",
	  .old_keys = { "state.checkpoints.num-retained" },
	  .kind = FSHA_CONFIG_NUMBER,
	  .min = -INT_MAX_VALUE - 1, /* as in Flink, too few is a warning and means 1 */
	  .max = INT_MAX_VALUE,
	  .form = "a number from 1 on",
	  .description = "how many completed checkpoints of a job are kept" },

	/* What became of a job, and cleaning up after it. */
	{ .key = FSHA_KEY_JOB_RESULT_PATH,
	  .kind = FSHA_CONFIG_PATH,
	  .form = "'/a/directory/on/the/shared/filesystem'",
	  .description = "where job results are kept, on the filesystem of the shared directory, "
			 "for this cluster alone; without it, in the cluster's directory" },
	{ .key = FSHA_KEY_JOB_RESULT_DELETE,
	  .fallback = "true",
	  .kind = FSHA_CONFIG_BOOLEAN,
	  .form = "'true' or 'false'",
	  .description = "whether a job's result is deleted once the job was cleaned up" },
	{ .key = FSHA_KEY_CLEANUP_STRATEGY,
	  .fallback = "exponential-delay",
	  .old_keys = { "cleanup-strategy" },
	  .kind = FSHA_CONFIG_TEXT,
	  .form = "'exponential-delay', 'fixed-delay' or 'none'",
	  .description = "when a cleanup that failed is tried again; none, disable, off: never" },
	{ .key = FSHA_KEY_CLEANUP_FIXED_ATTEMPTS,
	  .kind = FSHA_CONFIG_NUMBER,
	  .max = INT_MAX_VALUE,
	  .form = "a number from 0 on",
	  .description = "fixed-delay: how often; without it, until it works" },
	{ .key = FSHA_KEY_CLEANUP_FIXED_DELAY,
	  .fallback = "1 min",
	  .kind = FSHA_CONFIG_DURATION,
	  .max = CONFIG_DELAY_MS_MAX,
	  .form = "'0 ms' to '365 d'",
	  .description = "fixed-delay: after how long" },
	{ .key = FSHA_KEY_CLEANUP_INITIAL_BACKOFF,
	  .fallback = "1 s",
	  .kind = FSHA_CONFIG_DURATION,
	  .min = 1,
	  .max = CONFIG_DELAY_MS_MAX,
	  .form = "'1 ms' to '365 d'",
	  .description = "exponential-delay: after how long at first; twice as long each time" },
	{ .key = FSHA_KEY_CLEANUP_MAX_BACKOFF,
	  .fallback = "1 h",
	  .kind = FSHA_CONFIG_DURATION,
	  .min = 1,
	  .max = CONFIG_DELAY_MS_MAX,
	  .form = "'1 ms' to '365 d'",
	  .description = "exponential-delay: after how long at most" },
	{ .key = FSHA_KEY_CLEANUP_EXPONENTIAL_ATTEMPTS,
	  .kind = FSHA_CONFIG_NUMBER,
	  .max = INT_MAX_VALUE,
	  .form = "a number from 0 on",
	  .description = "exponential-delay: how often; without it, until it works" },

	/* What Flink has for ZooKeeper and Kubernetes. It is known, so that it can be explained. */
	{ .key = ZK "quorum",
	  .old_keys = { OLD_ZK "quorum", "zookeeper.quorum" },
	  .description = "the servers of an ensemble",
	  .instead = USE_DIRECTORY },
	{ .key = ZK "path.root",
	  .fallback = "/flink",
	  .old_keys = { OLD_ZK "path.root" },
	  .description = "the node above all clusters",
	  .instead = "'" FSHA_KEY_STORAGE_DIR "' and '" FSHA_KEY_CLUSTER_ID "' say where" },
	{ .key = ZK "path.execution-plans",
	  .fallback = "/execution-plans",
	  .old_keys = { ZK "path.jobgraphs", OLD_ZK "path.jobgraphs" },
	  .description = "the node of the job graphs",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "path.applications",
	  .fallback = "/applications",
	  .description = "the node of the applications",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "path.latch",
	  .fallback = "/leaderlatch",
	  .old_keys = { OLD_ZK "path.latch" },
	  .description = "the node of the elections",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "path.leader",
	  .fallback = "/leader",
	  .old_keys = { OLD_ZK "path.leader" },
	  .description = "the node of the leaders",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "path.checkpoints",
	  .fallback = "/checkpoints",
	  .old_keys = { OLD_ZK "path.checkpoints" },
	  .description = "the node of the checkpoints",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "path.checkpoint-counter",
	  .fallback = "/checkpoint-counter",
	  .old_keys = { OLD_ZK "path.checkpoint-counter" },
	  .description = "the node of the checkpoint counters",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "path.mesos-workers",
	  .fallback = "/mesos-workers",
	  .old_keys = { OLD_ZK "path.mesos-workers" },
	  .description = "the node of the workers",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "path.running-registry",
	  .fallback = "/running_job_registry/",
	  .description = "the node of the running jobs",
	  .instead = FIXED_LAYOUT },
	{ .key = ZK "client.session-timeout",
	  .fallback = "60 s",
	  .old_keys = { OLD_ZK "client.session-timeout" },
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "after how long without contact a session is over",
	  .instead = USE_LEASE },
	{ .key = ZK "client.connection-timeout",
	  .fallback = "15 s",
	  .old_keys = { OLD_ZK "client.connection-timeout" },
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "how long to wait for a connection",
	  .instead = USE_LEASE " (closing waits one lease, 3 s at least)" },
	{ .key = ZK "client.retry-wait",
	  .fallback = "5 s",
	  .old_keys = { OLD_ZK "client.retry-wait" },
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "the pause before another attempt to connect",
	  .instead = NO_CLIENT },
	{ .key = ZK "client.max-retry-wait",
	  .fallback = "60 s",
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "the longest pause before another attempt to connect",
	  .instead = NO_CLIENT },
	{ .key = ZK "client.max-retry-attempts",
	  .fallback = "3",
	  .old_keys = { OLD_ZK "client.max-retry-attempts" },
	  .kind = FSHA_CONFIG_NUMBER,
	  .description = "how often to try to connect",
	  .instead = NO_CLIENT },
	{ .key = ZK "client.acl",
	  .fallback = "open",
	  .old_keys = { OLD_ZK "client.acl" },
	  .description = "who may read and write the nodes",
	  .instead = USE_PERMISSIONS },
	{ .key = ZK "client.authorization",
	  .description = "credentials for the servers",
	  .instead = USE_PERMISSIONS },
	{ .key = ZK "client.tolerate-suspended-connections",
	  .fallback = "false",
	  .kind = FSHA_CONFIG_BOOLEAN,
	  .description = "whether a leader leads on while its connection is interrupted",
	  .instead = "a leader leads on for one lease, see '" FSHA_KEY_LEASE "'" },
	{ .key = ZK "client.ensemble-tracker",
	  .fallback = "true",
	  .kind = FSHA_CONFIG_BOOLEAN,
	  .description = "whether changes of the ensemble are followed",
	  .instead = NEVER_NEEDED },
	{ .key = ZK "client.max-close-wait",
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "how long closing may take",
	  .instead = "closing waits one lease, 3 s at least; see '" FSHA_KEY_LEASE "'" },
	{ .key = ZK "client.simulated-session-expiration-percent",
	  .kind = FSHA_CONFIG_NUMBER,
	  .description = "how often a lost connection counts as a lost session, for tests",
	  .instead = NEVER_NEEDED },
	{ .key = "high-availability.kubernetes.leader-election.lease-duration",
	  .fallback = "15 s",
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "how long a leader's lock in a ConfigMap lasts",
	  .instead = USE_LEASE },
	{ .key = "high-availability.kubernetes.leader-election.renew-deadline",
	  .fallback = "15 s",
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "how long a leader tries to renew it",
	  .instead = USE_LEASE },
	{ .key = "high-availability.kubernetes.leader-election.retry-period",
	  .fallback = "5 s",
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "how often it is renewed and asked for",
	  .instead = "write '" FSHA_KEY_POLL_INTERVAL "'" },
	{ .key = "high-availability.job.delay",
	  .old_keys = { "recovery.job.delay" },
	  .kind = FSHA_CONFIG_DURATION,
	  .description = "a pause before jobs are recovered",
	  .instead = NEVER_NEEDED },
	{ .key = "high-availability.use-old-ha-services",
	  .fallback = "false",
	  .kind = FSHA_CONFIG_BOOLEAN,
	  .description = "the services of Flink before 1.15",
	  .instead = NEVER_NEEDED },
};
const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);

const fsha_config_option *fsha_config_options(size_t *ret_count)
{
	if (ret_count)
		*ret_count = config_option_count;
	return config_options;
}

const fsha_config_option *config_option_find(const char *key)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (!strcmp(config_options[i].key, key))
			return &config_options[i];
	return NULL;
}

const fsha_config_option *config_option_find_any(const char *key, bool *ret_old)
{
	const fsha_config_option *option = config_option_find(key);

	*ret_old = !option;
	for (size_t i = 0; !option && i < config_option_count; i++)
		for (size_t j = 0; j < FSHA_CONFIG_OLD_KEYS && config_options[i].old_keys[j]; j++)
			if (!strcmp(config_options[i].old_keys[j], key))
				option = &config_options[i];
	return option;
}

void config_option_variable(const char *key, char *ret_name)
{
	size_t used = strlen(VARIABLE_PREFIX);

	assert(used + strlen(key) < FSHA_CONFIG_VARIABLE_SIZE);
	memcpy(ret_name, VARIABLE_PREFIX, used);
	for (; *key; key++) {
		if (*key >= 'a' && *key <= 'z')
			ret_name[used++] = (char)(*key - 'a' + 'A');
		else if ((*key >= 'A' && *key <= 'Z') || (*key >= '0' && *key <= '9'))
			ret_name[used++] = *key;
		else
			ret_name[used++] = '_';
	}
	ret_name[used] = '\0';
}

char *fsha_config_option_variable(const fsha_config_option *option, char *text)
{
	/* Of a caller's own making, a key could be longer than any of ours. */
	if (!option || !text || !option->key ||
	    strlen(option->key) + sizeof(VARIABLE_PREFIX) > FSHA_CONFIG_VARIABLE_SIZE)
		return NULL;
	config_option_variable(option->key, text);
	return text;
}
