// Character devices by id.
#include "chardev/chardev_set.h"

#include <boost/json.hpp>

#include "base/nearest.h"
#include "chardev/backends.h"

namespace nandu {

ChardevSet::ChardevSet(ControlLoop& loop, Opener& opener) : context_{loop, opener} {}
ChardevSet::ChardevSet(ControlLoop& loop)
    : own_opener_(CreateInProcessOpener()), context_{loop, *own_opener_} {}
ChardevSet::~ChardevSet() = default;

Result<> ChardevSet::Add(std::string_view backend, const std::string& id,
                         const boost::json::object& options) {
  if (id.empty()) {
    return Fail(Errc::kInvalidArgument, "-chardev {}: id= is missing", backend);
  }
  if (Has(id)) {
    return Fail(Errc::kExists, "chardev '{}' exists already; choose another id", id);
  }
  const ChardevBackend* row = FindChardevBackend(backend);
  if (row == nullptr) {
    std::vector<std::string_view> known;
    std::string list;
    for (const ChardevBackend& each : ChardevBackends()) {
      known.push_back(each.name);
      list += list.empty() ? "" : ", ";
      list += each.name;
    }
    return Fail(Errc::kInvalidArgument, "chardev '{}': no backend '{}'{}; known: {}", id, backend,
                DidYouMean(backend, known), list);
  }
  ChardevCommonOptions common;
  Entry entry;
  entry.chardev = TRY(row->create(context_, id, options, &common));
  if (common.mux) {
    auto quit = [this] {
      if (quit_) {
        quit_();
      }
    };
    entry.mux = TRY(Mux::Create(entry.chardev, quit, escape_key_));
  }
  entries_.emplace(id, std::move(entry));
  return {};
}

Result<std::string> ChardevSet::AddLegacy(std::string_view text, const std::string& id, LegacyMux mux) {
  const LegacyChardev parsed = TRY(ParseLegacyChardev(text, mux));
  switch (parsed.kind) {
    case LegacyChardev::Kind::kNone: return std::string();
    case LegacyChardev::Kind::kExisting: return parsed.id;
    case LegacyChardev::Kind::kNew: break;
  }
  TRY(Add(parsed.backend, id, *parsed.options));
  return id;
}

Result<> ChardevSet::Remove(std::string_view id) {
  const auto found = entries_.find(std::string(id));
  if (found == entries_.end()) {
    return Fail(Errc::kNotFound, "no chardev '{}'", id);
  }
  const Entry& entry = found->second;
  if (!entry.holder.expired() || (entry.mux && entry.mux.use_count() > 1)) {
    return Fail(Errc::kBusy, "chardev '{}' is in use; remove its device first", id);
  }
  entries_.erase(found);
  return {};
}

Result<std::shared_ptr<Chardev>> ChardevSet::Claim(std::string_view id, std::string_view user) {
  const auto found = entries_.find(std::string(id));
  if (found == entries_.end()) {
    std::vector<std::string_view> known;
    for (const auto& [name, entry] : entries_) {
      known.push_back(name);
    }
    return Fail(Errc::kNotFound, "no chardev '{}'{}; add -chardev BACKEND,id={}", id, DidYouMean(id, known),
                id);
  }
  Entry& entry = found->second;
  if (entry.mux) {
    return entry.mux->AddPort();
  }
  if (!entry.holder.expired()) {
    return Fail(Errc::kBusy, "chardev '{}' is in use by {}; add mux=on to it to share it", id, entry.user);
  }
  // The holder's copies end in a Detach, so that the next one finds it free.
  Chardev* raw = entry.chardev.get();
  std::shared_ptr<Chardev> held(raw, [owner = entry.chardev](Chardev* chardev) { chardev->Detach(); });
  entry.holder = held;
  entry.user = user;
  return held;
}

std::vector<ChardevInfo> ChardevSet::List() const {
  std::vector<ChardevInfo> list;
  for (const auto& [id, entry] : entries_) {
    const bool open = entry.mux ? entry.mux->front_end_open() : entry.chardev->front_end_open();
    list.push_back({id, entry.chardev->filename(), open});
  }
  return list;
}

void ChardevSet::ReleaseHost() {
  for (const auto& [id, entry] : entries_) {
    entry.chardev->ReleaseHost();
  }
}

void ChardevSet::WaitForClients(UniqueFunction<void()> done) {
  struct Waiting {
    size_t left = 0;
    UniqueFunction<void()> done;
  };
  const auto waiting = std::make_shared<Waiting>();
  waiting->done = std::move(done);
  for (const auto& [id, entry] : entries_) {
    if (entry.chardev->waits_for_client()) {
      ++waiting->left;
      Log(LogLevel::kWarning, "waiting for a client on {} (chardev '{}', wait=on)", entry.chardev->filename(),
          id);
      entry.chardev->NotifyFirstClient([waiting] {
        if (--waiting->left == 0) {
          waiting->done();
        }
      });
    }
  }
  if (waiting->left == 0) {
    waiting->done();
  }
}

}  // namespace nandu
