// argv -> MachineConfig -> run. A first word without a dash is one of nandu's own commands; everything else
// is QEMU's command line.
#include <string_view>
#include <vector>

#include "cli/run.h"
#include "verbs/verbs.h"

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.empty() || !nandu::IsVerb(words[0])) {
    return nandu::RunCommandLine(words);
  }
  return nandu::RunVerb(words);
}
