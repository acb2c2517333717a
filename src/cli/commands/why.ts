// `stateroom why`: the checks on receipt of an event, done again, and what became of it.

import type { Command } from 'commander';
import { why, type Why, type WhyCheck } from '../../reader/explain/why.js';
import { examples, globalsOf, withReader } from '../context.js';
import { readKeys } from '../import/key-file.js';
import { answer, colors, fields, printable } from '../output.js';

export function addWhy(program: Command): void {
  program
    .command('why')
    .description(
      'Says why an event was accepted, soft failed or rejected: every check on receipt, done again, with the rule that ' +
        'decided, the events and the state it rested on, and what would let it pass. For an accepted state event that ' +
        'is not in the current state: what replaced it, or the merge at which it lost.',
    )
    .argument('<event>', 'event id')
    .option('--keys <file>', 'public keys, {server: {key_id: base64}}: verify signatures again')
    .addHelpText(
      'after',
      examples(
        ["why '$id'", 'the checks and what became of the event'],
        ["why '$id' --keys keys.json --json", 'the same as JSON, signatures verified'],
      ),
    )
    .action(async (eventId: string, options: { readonly keys?: string }, command: Command) => {
      const globals = globalsOf(command);
      const keys = options.keys === undefined ? {} : { keys: await readKeys(options.keys) };
      await withReader(globals, async (reader) => {
        const told = await why(reader, eventId, keys);
        await answer(globals, told, () => textOf(told));
      });
    });
}

function textOf(told: Why): string {
  const parts = [headOf(told), ...told.checks.map(checkText)];
  const { before, resolution, state } = told;
  if (before !== null) {
    parts.push(
      fields([
        ['state before', before.root],
        ['sender', `${before.sender}, membership ${before.sender_membership ?? 'none'}`],
        ['level', `${before.sender_level}; ${before.required_level} needed to ${before.required_for}`],
        ['power levels', before.power_levels ?? 'none: the defaults'],
      ]),
    );
  }
  if (resolution !== null) {
    const keys = resolution.keys.map(
      ({ type, state_key, winner }) =>
        `  ${printable(`${type} ${state_key}`.trim())}: ${winner ?? 'nothing'}`,
    );
    const head = `The state before it came out of resolution ${resolution.trace} (${resolution.algorithm}) of ${resolution.heads.length} branches; ${resolution.conflicts} keys were in conflict.`;
    parts.push([head, ...keys].join('\n'));
  }
  if (state !== null) parts.push(state.explanation.map((line) => printable(line)).join('\n'));
  if (told.notes.length > 0) parts.push(told.notes.map((note) => colors.dim(printable(note))).join('\n'));
  return parts.join('\n\n');
}

function headOf({
  event_id,
  type,
  state_key,
  sender,
  room_id,
  room_version,
  verdict,
  code,
  reason,
  remedy,
}: Why): string {
  const key = state_key === undefined || state_key === '' ? '' : ` of ${state_key}`;
  const paint = verdict === 'accepted' ? colors.green : verdict === 'rejected' ? colors.red : colors.yellow;
  const lines = [
    `${printable(event_id)} ${paint(verdict.replace('_', ' '))} ${colors.dim(code)}`,
    printable(`${type}${key} by ${sender} in ${room_id} (version ${room_version})`),
  ];
  if (reason !== '') lines.push(printable(reason));
  if (remedy !== undefined) lines.push(`What would help: ${printable(remedy)}`);
  return lines.join('\n');
}

function checkText({ check, rule, passed, reason, facts, root }: WhyCheck): string {
  const mark = passed ? colors.green('✓') : colors.red('✗');
  const lines = [`${mark} ${check}  ${colors.dim(`rule ${rule}`)}  ${printable(reason)}`];
  if (root !== null) lines.push(`    ${colors.dim(`state ${root}`)}`);
  if (!passed)
    lines.push(
      ...facts.map(({ event_id, says }) => `    ${printable(says)}  ${colors.dim(printable(event_id))}`),
    );
  return lines.join('\n');
}
