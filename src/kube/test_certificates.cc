// SPDX-License-Identifier: Apache-2.0
#include "kube/test_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

namespace gatehouse::kube::testing {
namespace {

constexpr long kSecondsPerDay = 86'400;

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, &EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509, &X509_free>>;
using Memory = std::unique_ptr<BIO, Freer<BIO, &BIO_free_all>>;

std::string TextOf(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

Memory MemoryOf(const std::string& text) {
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

struct Wanted {
  std::string name;
  int days_before;
  int days;
  bool authority;
};

/// `issuer` null: signs itself.
TestCertificate Make(const Wanted& wanted, const TestCertificate* issuer) {
  static int serial = 0;
  const Key key(EVP_EC_gen("P-256"));
  const Certificate made(X509_new());
  X509* const x509 = made.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x509), -wanted.days_before * kSecondsPerDay);
  X509_gmtime_adj(X509_getm_notAfter(x509), (wanted.days - wanted.days_before) * kSecondsPerDay);
  X509_set_pubkey(x509, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wanted.name.c_str()), -1, -1,
                             0);
  Certificate issuer_certificate;
  Key issuer_key;
  if (issuer != nullptr) {
    issuer_certificate.reset(
        PEM_read_bio_X509(MemoryOf(issuer->certificate).get(), nullptr, nullptr, nullptr));
    issuer_key.reset(
        PEM_read_bio_PrivateKey(MemoryOf(issuer->key).get(), nullptr, nullptr, nullptr));
  }
  X509* const signer = issuer != nullptr ? issuer_certificate.get() : x509;
  X509_set_issuer_name(x509, X509_get_subject_name(signer));
  AddExtension(x509, signer, NID_basic_constraints,
               wanted.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!wanted.authority) AddExtension(x509, signer, NID_subject_alt_name, "IP:" + wanted.name);
  X509_sign(x509, issuer != nullptr ? issuer_key.get() : key.get(), EVP_sha256());

  const Memory certificate_text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate_text.get(), x509);
  const Memory key_text(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {TextOf(certificate_text.get()), TextOf(key_text.get())};
}

}  // namespace

TestCertificate MakeAuthority(const std::string& name) { return Make({name, 1, 2, true}, nullptr); }

TestCertificate MakeCertificate(const TestCertificate& authority, const std::string& address,
                                int days_before, int days) {
  return Make({address, days_before, days, false}, &authority);
}

}  // namespace gatehouse::kube::testing
