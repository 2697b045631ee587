// The VM's character devices by id: made from options, claimed by serial ports, consoles and monitors, listed
// for query-chardev. Control loop.
//
//   ChardevSet chardevs(loop, opener);
//   chardevs.SetQuitHandler([&] { machine.Quit(); });                       // Ctrl-a x on a mux
//   TRY(chardevs.Add("socket", "charmonitor", options));                    // -chardev
//   socket,id=charmonitor,... const std::string id = TRY(chardevs.AddLegacy("mon:stdio", "serial0",
//   LegacyMux::kAllowed));   // -serial mon:stdio std::shared_ptr<Chardev> port = TRY(chardevs.Claim(id,
//   "serial0"));     // released when the last copy goes chardevs.WaitForClients([&] { machine.Start(); });
//   // server=on,wait=on
#pragma once

#include <boost/json/fwd.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/chardev.h>

#include "base/result.h"
#include "chardev/backends.h"
#include "chardev/chardev_base.h"
#include "chardev/legacy_text.h"
#include "chardev/mux.h"
#include "loop/control_loop.h"
#include "sandbox/opener.h"

namespace nandu {

struct ChardevInfo {
  std::string label;
  std::string filename;
  bool frontend_open = false;
};

class ChardevSet {
 public:
  ChardevSet(ControlLoop& loop, Opener& opener);
  explicit ChardevSet(ControlLoop& loop);  // opens with this process's own rights
  ~ChardevSet();                           // after everybody who claimed one
  ChardevSet(const ChardevSet&) = delete;
  ChardevSet& operator=(const ChardevSet&) = delete;

  void SetQuitHandler(UniqueFunction<void()> quit) { quit_ = std::move(quit); }
  void SetEscapeKey(char key) { escape_key_ = key; }  // -echr; before Add

  // `options` without id and backend; values as the user wrote them. Opens and binds now.
  Result<> Add(std::string_view backend, const std::string& id, const boost::json::object& options);
  // The id to claim: `id`, or the one "chardev:id" names; empty for "none".
  Result<std::string> AddLegacy(std::string_view text, const std::string& id, LegacyMux mux);
  Result<> Remove(std::string_view id);  // kBusy while somebody holds it

  // For one user; a mux gives each a port of its own. `user` names who holds it in the sentence the next one
  // gets.
  Result<std::shared_ptr<Chardev>> Claim(std::string_view id, std::string_view user);
  bool Has(std::string_view id) const { return entries_.contains(std::string(id)); }
  std::vector<ChardevInfo> List() const;  // by id

  void ReleaseHost();  // of all, see ChardevBase

  // Runs `done` once every server with wait=on has had a client; from within when there is none to wait for.
  void WaitForClients(UniqueFunction<void()> done);

 private:
  struct Entry {
    std::shared_ptr<ChardevBase> chardev;
    std::shared_ptr<Mux> mux;       // with mux=on
    std::weak_ptr<Chardev> holder;  // without
    std::string user;
  };
  const std::unique_ptr<Opener> own_opener_;  // null: somebody else's
  const ChardevContext context_;
  UniqueFunction<void()> quit_;
  char escape_key_ = '\x01';
  std::map<std::string, Entry> entries_;
};

}  // namespace nandu
