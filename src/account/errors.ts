// What accounts refuse. The client API says each in its own words.

import { defineError } from '../lib/errors.js';

export const UserInUseError = defineError(
  'ACCOUNT_USER_IN_USE',
  'The user name is taken, or was once; names are never given out twice.',
);
export const UserUnknownError = defineError('ACCOUNT_USER_UNKNOWN', 'No user of this server has that id.');
export const InvalidUsernameError = defineError(
  'ACCOUNT_INVALID_USERNAME',
  'User names are made of a-z, 0-9 and . _ = - / +, begin with no underscore, and fit 255 bytes with the server.',
);
export const DeviceUnknownError = defineError(
  'ACCOUNT_DEVICE_UNKNOWN',
  'The user has no device with that id.',
);
export const AliasTakenError = defineError('ACCOUNT_ALIAS_TAKEN', 'The room alias names a room already.');
export const ProfileTooLargeError = defineError(
  'ACCOUNT_PROFILE_TOO_LARGE',
  'With this field the profile would exceed 64 KiB.',
);
export const PushRuleUnknownError = defineError(
  'ACCOUNT_PUSH_RULE_UNKNOWN',
  'The user has no such push rule.',
);
export const PushRuleInvalidError = defineError(
  'ACCOUNT_PUSH_RULE_INVALID',
  'A push rule is malformed, or is to stand beside a rule that is not there.',
);
export const KeysInvalidError = defineError(
  'ACCOUNT_KEYS_INVALID',
  'Encryption keys are malformed, or are not those of the user and device that upload them.',
);
export const KeySignatureInvalidError = defineError(
  'ACCOUNT_KEY_SIGNATURE_INVALID',
  'A signature that the keys need is missing or wrong, or it covers other keys than are stored.',
);
export const KeyUnknownError = defineError('ACCOUNT_KEY_UNKNOWN', 'No key with that id is stored.');
export const KeyIdInUseError = defineError(
  'ACCOUNT_KEY_ID_IN_USE',
  'A cross-signing key has the id of a device of the user: signatures could not tell them apart.',
);
export const MasterKeyMissingError = defineError(
  'ACCOUNT_MASTER_KEY_MISSING',
  'Cross-signing keys are signed by a master key, and there is none.',
);
export const OneTimeKeyDiffersError = defineError(
  'ACCOUNT_ONE_TIME_KEY_DIFFERS',
  'A one-time key with that id is stored already, and is another key.',
);
export const KeysTooLargeError = defineError(
  'ACCOUNT_KEYS_TOO_LARGE',
  'A key is larger, or there are more of them, than a server can be asked to keep.',
);
export const BackupUnknownError = defineError(
  'ACCOUNT_BACKUP_UNKNOWN',
  'The user has no such key backup, or no such key in it.',
);
export const BackupNotCurrentError = defineError(
  'ACCOUNT_BACKUP_NOT_CURRENT',
  'Keys are put into the current backup only; the field `current_version` names it.',
);
