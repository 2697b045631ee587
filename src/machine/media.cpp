#include "machine/media.h"

#include <boost/json/object.hpp>

namespace nandu {

Result<Media::Found> Media::Find(const DriveName& name) const {
  if (name.device.has_value() == name.id.has_value()) {
    return Fail(Errc::kInvalidArgument, "give either 'device' or 'id'");
  }
  const std::string& wanted = name.device ? *name.device : *name.id;
  for (Device* device : devices_()) {
    auto* const has = dynamic_cast<HasCdDrive*>(device);
    CdDrive* const drive = has != nullptr ? has->cd_drive() : nullptr;
    const bool named = device->id() == wanted || (drive != nullptr && !drive->drive().empty() && drive->drive() == wanted);
    if (named && drive != nullptr) {
      return Found{drive, wanted, device->id()};
    }
    if (named) {
      return Fail(Errc::kUnsupported, "device '{}' is not removable", wanted);
    }
  }
  if (name.device && blocks_.Has(wanted)) {
    return Fail(Errc::kUnsupported, "device '{}' is not removable", wanted);
  }
  return Fail(Errc::kNotFound, "there is no device '{}'", wanted);
}

// The guest's lock holds the tray until it lets it out itself, or force does.
void Media::Opened(const Found& found, bool force, UniqueFunction<void(Result<>)> done) {
  if (found.drive->tray_open()) {
    done({});
    return;
  }
  found.drive->OpenTray(force, [shown = found.shown, done = std::move(done)](bool opened) {
    done(opened ? Result<>()
                : Fail(Errc::kBusy,
                       "device '{}' is locked and force was not specified; wait for the tray to open and try again",
                       shown));
  });
}

void Media::OpenTray(const DriveName& name, bool force, Done done) {
  Result<Found> found = Find(name);
  if (!found) {
    done(tl::unexpected<Error>(std::move(found).error()));
    return;
  }
  Opened(*found, force, std::move(done));
}

void Media::CloseTray(const DriveName& name, Done done) {
  Result<Found> found = Find(name);
  if (!found) {
    done(tl::unexpected<Error>(std::move(found).error()));
    return;
  }
  if (!found->drive->tray_open()) {
    done({});
    return;
  }
  found->drive->CloseTray([done = std::move(done)] { done({}); });
}

void Media::TakeOut(const Found& found, Done done) {
  if (!found.drive->tray_open()) {
    done(Fail(Errc::kBusy, "the tray of device '{}' is not open; open it with blockdev-open-tray", found.shown));
    return;
  }
  if (found.drive->medium() == nullptr) {
    done({});
    return;
  }
  found.drive->SetMedium(nullptr, [this, id = found.id, done = std::move(done)](Result<> result) {
    if (const auto own = opened_here_.find(id); result && own != opened_here_.end()) {
      result = blocks_.RemoveNode(own->second);  // nobody else knows its name
      opened_here_.erase(own);
    }
    done(std::move(result));
  });
}

void Media::RemoveMedium(const DriveName& name, Done done) {
  Result<Found> found = Find(name);
  if (!found) {
    done(tl::unexpected<Error>(std::move(found).error()));
    return;
  }
  TakeOut(*found, std::move(done));
}

void Media::Eject(const DriveName& name, bool force, Done done) {
  Result<Found> found = Find(name);
  if (!found) {
    done(tl::unexpected<Error>(std::move(found).error()));
    return;
  }
  Opened(*found, force, [this, found = *found, done = std::move(done)](Result<> opened) mutable {
    if (!opened) {
      done(std::move(opened));
      return;
    }
    TakeOut(found, std::move(done));
  });
}

void Media::PutIn(const Found& found, const std::string& node_name, Done done) {
  if (!found.drive->tray_open()) {
    done(Fail(Errc::kBusy, "the tray of device '{}' is not open; open it with blockdev-open-tray", found.shown));
    return;
  }
  if (found.drive->medium() != nullptr) {
    done(Fail(Errc::kExists, "there already is a medium in device '{}'; take it out with blockdev-remove-medium",
              found.shown));
    return;
  }
  Result<std::shared_ptr<BlockNode>> claimed = blocks_.Claim(node_name, found.id, BlockGraph::Sharing::kReading);
  if (!claimed) {
    done(tl::unexpected<Error>(std::move(claimed).error()));
    return;
  }
  found.drive->SetMedium(std::move(*claimed), std::move(done));
}

void Media::InsertMedium(const DriveName& name, const std::string& node_name, Done done) {
  Result<Found> found = Find(name);
  if (!found) {
    done(tl::unexpected<Error>(std::move(found).error()));
    return;
  }
  PutIn(*found, node_name, std::move(done));
}

void Media::ChangeMedium(const DriveName& name, const NewMedium& medium, bool force, Done done) {
  Result<Found> found = Find(name);
  if (!found) {
    done(tl::unexpected<Error>(std::move(found).error()));
    return;
  }
  // The image first: where it cannot be opened, the tray stays as it is.
  boost::json::object options;
  options["file"] = medium.filename;
  options["read-only"] = "on";
  if (medium.format) {
    options["format"] = *medium.format;
  }
  Result<std::string> opened = blocks_.AddMedium(options);
  if (!opened) {
    done(tl::unexpected<Error>(std::move(opened).error()));
    return;
  }
  const auto give_up = [this, node = *opened](Result<> why, const Done& tell) {
    static_cast<void>(blocks_.RemoveNode(node));
    tell(std::move(why));
  };
  Opened(*found, force, [this, found = *found, node = *opened, give_up, done = std::move(done)](Result<> out) mutable {
    if (!out) {
      give_up(std::move(out), done);
      return;
    }
    TakeOut(found, [this, found, node, give_up, done = std::move(done)](Result<> taken) mutable {
      if (!taken) {
        give_up(std::move(taken), done);
        return;
      }
      PutIn(found, node, [this, found, node, give_up, done = std::move(done)](Result<> put) mutable {
        if (!put) {
          give_up(std::move(put), done);
          return;
        }
        opened_here_[found.id] = node;
        found.drive->CloseTray([done = std::move(done)] { done({}); });
      });
    });
  });
}

}  // namespace nandu
