/*
 * Reading a configuration file into entries. Nothing of the configuration is touched here.
 */
#ifndef SRC_CONFIG_FILE_H
#define SRC_CONFIG_FILE_H

#include "fsha/config.h"
#include "src/config/entries.h"

/* What the two parsers share: where they are, and where the entries go. */
struct config_reader {
	const char *path; /* as the user knows it */
	const char *text; /* the content: `len` bytes without a NUL, and one behind them */
	size_t len;
	struct config_entries *entries;
	fsha_error *reterr;
};

/*
 * Read `path` (a file, or a directory with one of Flink's files in it) into `entries`, empty so
 * far.
 */
fsha_result config_file_read(const struct fsu *fs, const char *path, struct config_entries *entries,
			     fsha_error *reterr);

/* flink-conf.yaml: "key: value" lines. */
fsha_result config_lines_parse(struct config_reader *reader);
/* config.yaml: mappings within mappings, whose keys are joined by dots. */
fsha_result config_yaml_parse(struct config_reader *reader);

/*
 * Add an entry of a file: a key twice, one that is empty or too long, too many are errors of that
 * line.
 */
fsha_result config_reader_add(struct config_reader *reader, unsigned line, const char *key,
			      const char *value);
/* FSHA_E_CONFIG "file:line: ...". */
fsha_result config_reader_error(struct config_reader *reader, unsigned line, const char *format,
				...) __attribute__((format(printf, 3, 4)));

#define CONFIG_QUOTE_SIZE 112
/* A text of a user for a message: cut to fit, without control characters. Returns `buf`. */
const char *config_quote(const char *text, char *buf);
/* The end of a path or an origin, when it is too long for a message: the line number is there. */
const char *config_tail(const char *text);

#endif
