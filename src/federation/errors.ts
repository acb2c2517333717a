// What federation refuses, and what goes wrong between servers.
//
// Source: server-server API; client-server API, "Standard error response", which it shares.

import { defineError, type ErrorFields, StateroomError } from '../lib/errors.js';

const FederationRequestError = defineError(
  'FEDERATION_REQUEST',
  "Another server's request was refused; `errcode` and `status` say how it is told.",
);
const FederationRefusedError = defineError(
  'FEDERATION_REFUSED',
  'Another server answered with an error; `status` and `errcode` are its own.',
);

export const UnreachableError = defineError(
  'FEDERATION_UNREACHABLE',
  'No answer came from another server: it was not found, or not reached, or too slow, or said too much.',
);
export const AddressForbiddenError = defineError(
  'FEDERATION_ADDRESS_FORBIDDEN',
  'A server name leads to an address of a private network; federation.allow_private_networks lists those allowed.',
);
export const BadAnswerError = defineError(
  'FEDERATION_BAD_ANSWER',
  "Another server's answer is not what the specification says: no JSON, or not of that form.",
);
export const BackingOffError = defineError(
  'FEDERATION_BACKING_OFF',
  'The server failed not long ago and is not asked again until the time in `retry_at`, or until it is heard.',
);

export const NoServerError = defineError(
  'FEDERATION_NO_SERVER',
  'Nobody said which servers are in the room, and none is known; name some with `via`.',
);

/** A refusal that is sent to another server. */
export class FederationError extends StateroomError {
  readonly status: number;
  readonly errcode: string;
  /** Further keys of the answer's body: `retry_after_ms`, `room_version`. */
  readonly body: Readonly<Record<string, unknown>>;

  /**
   * @param status HTTP status
   * @param errcode `M_FORBIDDEN`, `M_NOT_FOUND`, ...
   * @param message a sentence for people, sent as `error`
   */
  constructor(
    status: number,
    errcode: string,
    message: string,
    body: Readonly<Record<string, unknown>> = {},
  ) {
    super(FederationRequestError.code, message, { errcode, status } satisfies ErrorFields);
    this.status = status;
    this.errcode = errcode;
    this.body = body;
  }

  /** The answer's body. */
  responseBody(): Readonly<Record<string, unknown>> {
    return { errcode: this.errcode, error: this.message, ...this.body };
  }
}

export const forbidden = (message: string): FederationError =>
  new FederationError(403, 'M_FORBIDDEN', message);
export const notFound = (message: string): FederationError =>
  new FederationError(404, 'M_NOT_FOUND', message);
export const badJson = (message: string): FederationError => new FederationError(400, 'M_BAD_JSON', message);
export const invalidParam = (message: string): FederationError =>
  new FederationError(400, 'M_INVALID_PARAM', message);
export const missingParam = (message: string): FederationError =>
  new FederationError(400, 'M_MISSING_PARAM', message);
export const unauthorized = (message: string): FederationError =>
  new FederationError(401, 'M_UNAUTHORIZED', message);

/** Another server's refusal of what we asked. */
export class RefusedError extends StateroomError {
  readonly status: number;
  /** `M_UNKNOWN` where the answer has none. */
  readonly errcode: string;
  /** Its words, cut short: a stranger's. */
  readonly says: string;
  /** Of the body's `room_version`, with M_INCOMPATIBLE_ROOM_VERSION. */
  readonly roomVersion: string | undefined;

  constructor(
    destination: string,
    refusal: {
      readonly status: number;
      readonly errcode: string;
      readonly says: string;
      readonly roomVersion?: string | undefined;
    },
  ) {
    const { status, errcode, says } = refusal;
    super(FederationRefusedError.code, `${destination} answered ${status} ${errcode}: ${says}`, {
      destination,
      status,
      errcode,
    });
    this.status = status;
    this.errcode = errcode;
    this.says = says;
    this.roomVersion = refusal.roomVersion;
  }
}

const REMOTE_FAILURES: ReadonlySet<string> = new Set([
  NoServerError.code,
  UnreachableError.code,
  AddressForbiddenError.code,
  BadAnswerError.code,
  BackingOffError.code,
  FederationRefusedError.code,
]);

/** Is it one of the ways in which a request to another server fails, and no fault of ours? */
export function isRemoteFailure(thrown: unknown): thrown is StateroomError {
  return thrown instanceof StateroomError && REMOTE_FAILURES.has(thrown.code);
}
