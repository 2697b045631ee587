// The commands and events of a machine's monitors. Control loop; filled before the first session starts.
//
// One described struct per argument set and reply is the only truth: parsing, checking, query-qmp-schema and
// the documentation are read off it. A member that is not a std::optional must be there.
//
//   struct BlockResizeArgs { std::optional<std::string> device, node_name; uint64_t size = 0; };
//   BOOST_DESCRIBE_STRUCT(BlockResizeArgs, (), (device, node_name, size))
//   registry.Bind<BlockResizeArgs, Nothing>("block_resize", [&](BlockResizeArgs args, Reply<Nothing> reply) {
//   ... });
#pragma once

#include <boost/json/fwd.hpp>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/described.h"
#include "base/unique_function.h"
#include "qmp/reply.h"

namespace nandu {

struct CommandTraits {
  bool allow_oob = false;  // may overtake others with exec-oob; its handler answers before it returns
};

struct EventTraits {
  int64_t min_interval_ns = 0;  // between two of them; of those that come sooner the last one goes out
};

struct QmpEvent {
  const TypeInfo* data = nullptr;
  EventTraits traits;
};

struct QmpCommand {
  const TypeInfo* arguments = nullptr;
  const TypeInfo* reply = nullptr;
  CommandTraits traits;
  UniqueFunction<void(const boost::json::value& arguments, PendingReply reply)>
      run;  // parses, then calls the handler
};

class QmpRegistry {
 public:
  QmpRegistry() = default;
  QmpRegistry(const QmpRegistry&) = delete;
  QmpRegistry& operator=(const QmpRegistry&) = delete;

  template <class Args, class Ret>
  void Bind(std::string_view name, UniqueFunction<void(Args, Reply<Ret>)> handler,
            CommandTraits traits = {}) {
    auto run = [handler = std::move(handler)](const boost::json::value& arguments, PendingReply reply) {
      Args args{};
      if (ParseArguments(TypeOf<Args>(), &args, arguments, reply)) {
        handler(std::move(args), Reply<Ret>(std::move(reply)));
      }
    };
    Add(name, {&TypeOf<Args>(), &TypeOf<Ret>(), traits, std::move(run)});
  }
  // An event the machine may emit: its name and data, for the schema.
  template <class Data>
  void DeclareEvent(std::string_view name, EventTraits traits = {}) {
    events_.emplace(std::string(name), QmpEvent{&TypeOf<Data>(), traits});
  }

  const QmpCommand* Find(std::string_view name) const;  // null when there is none
  const std::map<std::string, QmpCommand, std::less<>>& commands() const { return commands_; }
  const std::map<std::string, QmpEvent, std::less<>>& events() const { return events_; }

 private:
  // False: `reply` has been answered with what is wrong.
  static bool ParseArguments(const TypeInfo& type, void* into, const boost::json::value& arguments,
                             PendingReply& reply);
  void Add(std::string_view name, QmpCommand command);

  std::map<std::string, QmpCommand, std::less<>> commands_;
  std::map<std::string, QmpEvent, std::less<>> events_;
};

}  // namespace nandu
