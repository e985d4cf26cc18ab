/* A pack: its list, and each record in it. */
#include "src/maintenance/verify.h"
#include "src/result/error.h"
#include "src/state/pack.h"

static fsha_result check_member(struct verify *v, const struct record_place *place,
				const struct pack *pack, const struct pack_member *m, uint16_t kind,
				fsha_error *reterr)
{
	const struct pack_part part = { pack->version, m->offset, m->size };
	char file[NAME_SIZE], within[NAME_SIZE];
	struct record record;
	fsha_result result;
	uint8_t *bytes;

	result = pack_read_bytes(place, &part, &bytes, reterr);
	if (result != FSHA_OK)
		return result;
	name_format(m->key, &m->version, m->form, file);
	name_format(PACK_KEY, &pack->version, NAME_VALUE, within);
	result = record_verify(place, file, within, kind, FSHA_STATE_VALUE_MAX, bytes, m->size,
			       &record, reterr);
	if (result != FSHA_OK)
		return result;
	v->count->records++;
	v->count->bytes += record.size;
	record_done(place->fs, &record);
	return FSHA_OK;
}

fsha_result check_pack(struct verify *v, const struct record_place *place,
		       const struct check_record *q, struct findings *found, fsha_error *reterr)
{
	struct pack *pack;
	fsha_result result;

	result = pack_load(place, &q->name->version, &pack, reterr);
	if (result != FSHA_OK)
		return result;
	v->count->records++;
	for (size_t i = 0; i < pack->count; i++) {
		fsha_error error = FSHA_ERROR_INIT;

		result = check_member(v, place, pack, &pack->members[i], q->members, &error);
		if (result == FSHA_E_NOT_FOUND) { /* the pack is */
			(void)error_copy(reterr, &error);
			break;
		}
		if (result != FSHA_OK)
			check_unsound(q, result, &error, found);
		result = FSHA_OK;
	}
	fsu_release(place->fs, pack);
	return result;
}
