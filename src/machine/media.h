// Media that managers change: trays of CD-ROM drives and what lies in them. Control loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nandu/device.h>

#include "block/block_graph.h"
#include "devices/storage/cd_drive.h"
#include "machine/facets.h"

namespace nandu {

class Media final : public MediaFacet {
 public:
  // `devices`: those there are; both outlive it.
  Media(BlockGraph& blocks, std::function<const std::vector<Device*>&()> devices)
      : blocks_(blocks), devices_(std::move(devices)) {}

  void Eject(const DriveName& name, bool force, Done done) override;
  void OpenTray(const DriveName& name, bool force, Done done) override;
  void CloseTray(const DriveName& name, Done done) override;
  void RemoveMedium(const DriveName& name, Done done) override;
  void InsertMedium(const DriveName& name, const std::string& node_name, Done done) override;
  void ChangeMedium(const DriveName& name, const NewMedium& medium, bool force, Done done) override;

 private:
  struct Found {
    CdDrive* drive = nullptr;
    std::string shown;  // as the manager named it
    std::string id;
  };
  Result<Found> Find(const DriveName& name) const;
  void Opened(const Found& found, bool force, UniqueFunction<void(Result<>)> done);
  void TakeOut(const Found& found, Done done);
  void PutIn(const Found& found, const std::string& node_name, Done done);

  BlockGraph& blocks_;
  const std::function<const std::vector<Device*>&()> devices_;
  std::map<std::string, std::string, std::less<>> opened_here_;  // device id: node that ChangeMedium opened
};

}  // namespace nandu
