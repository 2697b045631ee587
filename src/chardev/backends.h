// The backends a -chardev can name, one row each.
#pragma once

#include <boost/json/fwd.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/described.h"
#include "base/result.h"
#include "chardev/chardev_base.h"
#include "chardev/options.h"
#include "loop/control_loop.h"
#include "sandbox/opener.h"

namespace nandu {

// What a backend is made with; outlives it.
struct ChardevContext {
  ControlLoop& loop;
  Opener& opener;
};

struct ChardevBackend {
  std::string_view name;  // "socket"
  std::string_view description;
  const TypeInfo* (*options)();
  // The object and what they have in common (mux, logfile), from options as the user wrote them: text values
  // or typed JSON.
  Result<std::unique_ptr<ChardevBase>> (*create)(const ChardevContext& context, const std::string& id,
                                                 const boost::json::object& options,
                                                 ChardevCommonOptions* common);
};
std::span<const ChardevBackend> ChardevBackends();  // by name
// Null when there is none of that name.
const ChardevBackend* FindChardevBackend(std::string_view name);

// One function per backend, each in a file of its own. Control thread at set-up; files are opened and sockets
// bound here, so that a mistake is one sentence before anything runs.
std::unique_ptr<ChardevBase> CreateNullChardev(const ChardevContext& context, std::string id);
Result<std::unique_ptr<ChardevBase>> CreateStdioChardev(const ChardevContext& context, std::string id,
                                                        const StdioOptions& options);
Result<std::unique_ptr<ChardevBase>> CreateFileChardev(const ChardevContext& context, std::string id,
                                                       const FileChardevOptions& options);
Result<std::unique_ptr<ChardevBase>> CreatePipeChardev(const ChardevContext& context, std::string id,
                                                       const PipeOptions& options);
Result<std::unique_ptr<ChardevBase>> CreatePtyChardev(const ChardevContext& context, std::string id);
Result<std::unique_ptr<ChardevBase>> CreateSocketChardev(const ChardevContext& context, std::string id,
                                                         const SocketOptions& options);

}  // namespace nandu
