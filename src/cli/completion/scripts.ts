// What bash, zsh and fish load. Each gives the words up to the cursor to `res __complete` and offers what it prints:
// a line a candidate, the candidate and its description with a tab between.

export const bash = `# bash completion for res; in ~/.bashrc: eval "$(res completion bash)"
_res_complete() {
  # bash takes \`--arch=arm\` and \`NODE@arch=arm64\` for several words; res wants each as one.
  local rest=$COMP_LINE words=() i word=
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ \${#words[@]} -eq 0 || -z $rest || $rest == [[:space:]]* ]]; then words+=("$word"); else words[-1]+=$word; fi
    rest=\${rest#"\${rest%%[![:space:]]*}"}
    rest=\${rest#"$word"}
  done
  local last=\${words[-1]} cut=
  # Only what bash takes for the word is replaced.
  if [[ $last == "$word" ]]; then cut=; elif [[ $word == [=@:] ]]; then cut=$last; else cut=\${last%"$word"}; fi
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    line=\${line%%$'\\t'*}
    COMPREPLY+=("\${line#"$cut"}")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace
  return 0
}
complete -o default -F _res_complete res ./res
`;

export const zsh = `#compdef res
# zsh completion for res; in ~/.zshrc, after compinit: eval "$(res completion zsh)"
_res() {
  local -a candidates values
  local line
  for line in \${(f)"$(_call_program candidates \${(q)words[1]} __complete -- \${(q)words[2,CURRENT]} 2>/dev/null)"}; do
    line=\${line//:/\\\\:}
    candidates+=("\${line/$'\\t'/:}")
  done
  if (( \${#candidates} )); then
    _describe -V res candidates
  else
    _files
  fi
}
compdef _res res
`;

export const fish = `# fish completion for res; in ~/.config/fish/config.fish: res completion fish | source
function __res_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l candidates ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    if set -q candidates[1]
        string join \\n -- $candidates
    else
        # Where a file is wanted, and the flag's value begins after an equals sign.
        __fish_complete_path (string replace -r -- '^--[^=]*=' '' (commandline -ct))
    end
end
complete -c res -f -a '(__res_complete)'
`;
