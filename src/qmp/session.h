// One QMP monitor on one chardev: greeting, negotiation, commands one at a time in order, events. Control
// loop; not destroyed from within a command it runs.
//
// Protocol: QEMU's docs/interop/qmp-spec. Lines end in CR LF, since libvirt splits on nothing else. The
// chardev outlives clients: each one that connects is greeted and negotiates afresh, and what an earlier one
// was still owed is dropped. Input is read only as fast as commands are run; a client that does not read its
// answers is dropped once it has cost too much memory.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <nandu/chardev.h>

#include "base/counter.h"
#include "base/log.h"
#include "qmp/registry.h"
#include "qmp/version_info.h"

namespace nandu {

struct QmpLimits {
  size_t max_command_bytes = size_t{10} << 20;
  size_t max_commands_waiting = 8;  // as QEMU
  size_t max_answer_bytes_waiting = size_t{16} << 20;
  size_t max_answer_bytes_before_next_command = size_t{1}
                                                << 20;  // who reads no answers gets no more commands run
};

struct QmpSessionOptions {
  bool pretty = false;  // -mon pretty=on
  VersionInfo version;
  QmpLimits limits = {};
};

class QmpSession {
 public:
  QmpSession(const QmpRegistry& registry, std::shared_ptr<Chardev> chardev, QmpSessionOptions options);
  ~QmpSession();
  QmpSession(const QmpSession&) = delete;
  QmpSession& operator=(const QmpSession&) = delete;

  Result<> Start();                                 // attaches; greets a client that is there already
  void SendEvent(const boost::json::value& event);  // nothing happens before negotiation is over
  uint64_t clients_dropped() const { return clients_dropped_.value(); }

 private:
  struct Request;
  struct Client;
  using ClientPtr = std::shared_ptr<Client>;

  size_t Room() const;
  void OnData(std::span<const std::byte> bytes);
  void OnConnection(bool open);

  void ReadCommands(const ClientPtr& client);  // from bytes to requests, as many as may wait
  void RunCommands(const ClientPtr& client);
  void Run(const ClientPtr& client, const Request& request);
  void Negotiate(const ClientPtr& client, const Request& request);
  void Answer(const ClientPtr& client, const Request& request, const QmpAnswer& answer);
  void Refuse(const ClientPtr& client, const Request& request, QmpFailure failure);

  void Put(const ClientPtr& client, const boost::json::value& line);
  void DropClient();

  const QmpRegistry& registry_;
  const std::shared_ptr<Chardev> chardev_;
  const QmpSessionOptions options_;
  RateLimitedLog log_;
  ClientPtr client_;  // null: nobody is there, or it was dropped
  bool attached_ = false;
  Counter clients_dropped_;
};

}  // namespace nandu
