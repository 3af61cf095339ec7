import { type Application, proposeCompletions } from "@stricli/core";
import type { CliContext } from "./context.ts";

/** The shells that `ppml completion` writes a script for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Proposals for the last of `words`, one a line: `word TAB brief`. */
export async function completionLines(options: {
  readonly app: Application<CliContext>;
  readonly words: readonly string[];
  readonly context: CliContext;
}): Promise<string> {
  const { app, words, context } = options;
  const proposals = await proposeCompletions(app, words, context);
  return proposals
    .filter(
      ({ completion }) =>
        completion !== "--" && !/^-[hH]$|^--helpAll$|^--help-all$/.test(completion),
    )
    .map(({ completion, brief }) => `${completion}\t${brief}\n`)
    .join("");
}

/** The script for a shell: it asks `ppml __complete` and falls back to file names. */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# bash completion for ppml:  source <(ppml completion bash)
_ppml() {
  local word
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    [ -n "$word" ] && COMPREPLY+=("$word")
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _ppml ppml
`,
  zsh: `#compdef ppml
# zsh completion for ppml:  source <(ppml completion zsh)
_ppml() {
  local -a proposals
  local word brief
  while IFS=$'\\t' read -r word brief; do
    proposals+=("\${word//:/\\\\:}:$brief")
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#proposals} )); then _describe 'ppml' proposals; else _files; fi
}
if [ "$funcstack[1]" = "_ppml" ]; then _ppml "$@"; else compdef _ppml ppml; fi
`,
  // -f: fish would mix file names into every answer; they are for where ppml proposes nothing.
  fish: `# fish completion for ppml:  ppml completion fish | source
function __ppml_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l proposals ($words[1] __complete $words[2..-1] 2>/dev/null)
  if set -q proposals[1]
    printf '%s\\n' $proposals
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c ppml -f -a '(__ppml_complete)'
`,
};
