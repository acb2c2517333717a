// `stateroom verify`: checks a proof of `stateroom prove`; needs no store.

import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { StateroomError } from '../../lib/errors.js';
import { examples, globalsOf } from '../context.js';
import { EXIT, fileFault } from '../errors.js';
import { answer, colors, fields } from '../output.js';
import { checkProof, type ProvenClaim } from '../proof-file.js';
import { ProofFileError } from '../errors.js';

/** A proof is a few KiB. */
const PROOF_BYTES_MAX = 4 * 1024 * 1024;

type Outcome =
  | ({ readonly valid: true } & ProvenClaim)
  | { readonly valid: false; readonly code: string; readonly reason: string };

export function addVerify(program: Command): void {
  program
    .command('verify')
    .description(
      'Checks a proof: its nodes must lead from its root to its key. That the root is right is for you to know: give it with --root.',
    )
    .argument('<file>', 'proof as `stateroom prove` prints it; - is stdin')
    .option('--root <hex>', 'the root that you trust; a proof of another one does not count')
    .addHelpText(
      'after',
      examples(
        ['verify proof.json', 'is the proof sound?'],
        ['verify proof.json --root 9f2c…', 'and is it about the state I mean?'],
      ),
    )
    .action(async (file: string, options: { readonly root?: string }, command: Command) => {
      const outcome = outcomeOf(await readBounded(file), options.root);
      await answer(globalsOf(command), outcome, () => textOf(outcome));
      if (!outcome.valid) process.exitCode = EXIT.no;
    });
}

function outcomeOf(bytes: Uint8Array, trustedRoot: string | undefined): Outcome {
  try {
    const claim = checkProof(bytes);
    if (trustedRoot !== undefined && trustedRoot.toLowerCase() !== claim.root.toLowerCase()) {
      throw new ProofFileError(`the proof is about the root ${claim.root}`);
    }
    return { valid: true, ...claim };
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    return { valid: false, code: error.code, reason: error.message };
  }
}

async function readBounded(file: string): Promise<Uint8Array> {
  try {
    const stream: Readable = file === '-' ? process.stdin : (await open(file)).createReadStream();
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > PROOF_BYTES_MAX) throw new ProofFileError(`${file} is larger than any proof`, { file });
    }
    return Buffer.concat(chunks);
  } catch (error) {
    throw error instanceof StateroomError ? error : fileFault(file, error);
  }
}

function textOf(outcome: Outcome): string {
  if (!outcome.valid) return `${colors.red('invalid')} (${outcome.code}): ${outcome.reason}`;
  const claim = outcome.event_id === null ? 'is not set' : `is ${outcome.event_id}`;
  return `${colors.green('valid')}\n${fields([
    ['root', outcome.root],
    ['key', `${outcome.type} ${JSON.stringify(outcome.state_key)}`],
    ['value', claim],
  ])}`;
}
