// A drive whose medium can be changed, as managers reach it: the tray and what lies in it. Shared by ide-cd and
// scsi-cd. Control loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nandu/block.h>
#include <nandu/device.h>

#include "base/result.h"
#include "base/unique_function.h"
#include "devices/storage/scsi_cd.h"

namespace nandu {

class CdDrive {
 public:
  CdDrive(DeviceHost& host, std::string drive, std::shared_ptr<ScsiCd> cd)
      : host_(host), drive_(std::move(drive)), cd_(std::move(cd)) {}

  const std::string& drive() const { return drive_; }  // -drive's id; empty: none
  bool tray_open() const { return cd_->tray_open(); }
  bool locked() const { return cd_->locked(); }
  const std::shared_ptr<BlockNode>& medium() const { return cd_->disk().node(); }
  ScsiCd& cd() { return *cd_; }

  // `done` on the control loop. False: the guest has locked it and was asked to let it out.
  void OpenTray(bool force, UniqueFunction<void(bool opened)> done);
  void CloseTray(UniqueFunction<void()> done);
  // With the tray open.
  void SetMedium(std::shared_ptr<BlockNode> node, UniqueFunction<void(Result<>)> done) {
    cd_->disk().ChangeMedium(std::move(node), std::move(done));
  }

 private:
  DeviceHost& host_;
  const std::string drive_;
  const std::shared_ptr<ScsiCd> cd_;
};

// A device that has one.
class HasCdDrive {
 public:
  virtual ~HasCdDrive() = default;
  virtual CdDrive* cd_drive() = 0;  // null: it is a disk
};

}  // namespace nandu
