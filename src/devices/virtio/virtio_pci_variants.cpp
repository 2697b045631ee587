#include "devices/virtio/virtio_pci_variants.h"

namespace nandu {

TypeInfo WithoutInterfaceChoice(TypeInfo type) {
  std::erase_if(type.fields, [](const FieldInfo& field) {
    return field.wire == "disable-legacy" || field.wire == "disable-modern";
  });
  return type;
}

}  // namespace nandu
