#include "auth/credential.h"

enum finding
credential_refuse(struct refusal *no, int status, const char *why)
{
	*no = (struct refusal){status, why};
	return FOUND_WRONG;
}
