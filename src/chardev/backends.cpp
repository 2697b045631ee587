// One row per -chardev backend.
#include "chardev/backends.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <fcntl.h>

#include "chardev/fd_chardev.h"

namespace nandu {
namespace {

template <class Options>
using Make = Result<std::unique_ptr<ChardevBase>> (*)(const ChardevContext&, std::string, const Options&);

// Options as the user wrote them to a described struct, then the backend, then what all of them share.
template <class Options, Make<Options> kMake>
Result<std::unique_ptr<ChardevBase>> Create(const ChardevContext& context, const std::string& id,
                                            const boost::json::object& options,
                                            ChardevCommonOptions* common) {
  const std::string what = Format("chardev '{}'", id);
  const Options parsed =
      TRY(FromJson<Options>(options, {.path = what, .field_word = "option", .lenient = true}));
  std::unique_ptr<ChardevBase> chardev = TRY(kMake(context, id, parsed));
  if (parsed.logfile) {
    const int mode = parsed.logappend ? O_APPEND : O_TRUNC;
    chardev->SetLogFile(
        TRY(OpenChardevPath(context.opener, *parsed.logfile, O_WRONLY | O_CREAT | mode, what)));
  }
  *common = parsed;
  return chardev;
}

Result<std::unique_ptr<ChardevBase>> MakeNull(const ChardevContext& context, std::string id,
                                              const NullOptions& /*options*/) {
  return CreateNullChardev(context, std::move(id));
}
Result<std::unique_ptr<ChardevBase>> MakePty(const ChardevContext& context, std::string id,
                                             const PtyOptions& /*options*/) {
  return CreatePtyChardev(context, std::move(id));
}

template <class Options>
const TypeInfo* OptionsOf() {
  return &TypeOf<Options>();
}

constexpr std::array kBackends = {
    ChardevBackend{"file", "write to a file", OptionsOf<FileChardevOptions>,
                   Create<FileChardevOptions, CreateFileChardev>},
    ChardevBackend{"null", "drop everything", OptionsOf<NullOptions>, Create<NullOptions, MakeNull>},
    ChardevBackend{"pipe", "a FIFO, or a pair of them", OptionsOf<PipeOptions>,
                   Create<PipeOptions, CreatePipeChardev>},
    ChardevBackend{"pty", "a pseudo terminal", OptionsOf<PtyOptions>, Create<PtyOptions, MakePty>},
    ChardevBackend{"socket", "a unix or TCP socket", OptionsOf<SocketOptions>,
                   Create<SocketOptions, CreateSocketChardev>},
    ChardevBackend{"stdio", "standard input and output", OptionsOf<StdioOptions>,
                   Create<StdioOptions, CreateStdioChardev>},
};

}  // namespace

std::span<const ChardevBackend> ChardevBackends() { return kBackends; }

const ChardevBackend* FindChardevBackend(std::string_view name) {
  const auto* const found = std::find_if(kBackends.begin(), kBackends.end(),
                                         [&](const ChardevBackend& each) { return each.name == name; });
  return found == kBackends.end() ? nullptr : found;
}

}  // namespace nandu
