// Errors as clients see them: an HTTP status, an `errcode` of the specification, a sentence.
//
// Source: client-server API, "Standard error response".

import { defineError, type ErrorFields, StateroomError } from '../lib/errors.js';

const ClientRequestError = defineError(
  'CLIENT_REQUEST',
  "A client's request was refused; `errcode` and `status` say how it is told.",
);

/** A refusal that is sent to a client. */
export class MatrixError extends StateroomError {
  readonly status: number;
  readonly errcode: string;
  /** Further keys of the response body: `retry_after_ms`, `flows`, `soft_logout`. */
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
    // Strangers decide how many refusals there are, and nobody reads where one was made: finding that out takes
    // longer than all else that is done for such a request.
    const framesMax = Error.stackTraceLimit;
    if (status < 500) Error.stackTraceLimit = 0;
    super(ClientRequestError.code, message, { errcode, status } satisfies ErrorFields);
    Error.stackTraceLimit = framesMax;
    this.status = status;
    this.errcode = errcode;
    this.body = body;
  }

  /** The response's body. */
  responseBody(): Readonly<Record<string, unknown>> {
    return { errcode: this.errcode, error: this.message, ...this.body };
  }
}

export const forbidden = (message: string): MatrixError => new MatrixError(403, 'M_FORBIDDEN', message);
export const notFound = (message: string): MatrixError => new MatrixError(404, 'M_NOT_FOUND', message);
export const badJson = (message: string): MatrixError => new MatrixError(400, 'M_BAD_JSON', message);
export const invalidParam = (message: string): MatrixError =>
  new MatrixError(400, 'M_INVALID_PARAM', message);
/** The refusal of a request that came too soon. */
export const limitExceeded = (retryAfterMs: number): MatrixError =>
  new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many requests; wait a while.', {
    retry_after_ms: retryAfterMs,
  });
export const missingParam = (message: string): MatrixError =>
  new MatrixError(400, 'M_MISSING_PARAM', message);
