/** The words of the public catalogues for payment methods (197) and gateways (225), as the contract of requests has them. */

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\|\s*/));

export const METHODS = words(`
  ach|AdvCash|Aera|Affirm|Afterpay|Aircash|Airpay|Alfa-click|Alipay|AmazonPay|Apple Pay|AstroPay Card|AstroPay-GO|
  Baloto|Bancontact|Bancontact-mobile|bank-transfer|bank-transfer-2|bank-transfer-3|bank-transfer-4|bank-transfer-5|
  bank-transfer-6|bank-transfer-7|bank-transfer-8|bank-transfer-9|BankReferenced|BankSEND|Beeline|
  Belfius-direct-net|bitcoin|Bizum|Blik|Boleto|Boleto-2|Boleto-3|cash|cash-deposit|CASHlib|CashToCode|CCAvenue|
  check|China UnionPay|Clearpay|Cleo|CODVoucher|Conekta-oxxo|Conekta-spei|cryptocurrency|Cupon-de-pagos|CyberSource|
  Dimoco-pay-smart|Directa24Card|domestic-cards|e-wallet|echeck|ecoPayz|ecoPayzTurkey|ecoVoucher|Efecty|ePay.bg|EPS|
  Ethereum|eZeeWallet|ezyEFT|FasterPay|Flexepin|Giropay|Google Pay|Gpaysafe|iCashOne Voucher|iDEAL|iDebit|
  ING-homepay|INOVAPAY-pin|INOVAPAY-wallet|InstaDebit|instant-bank-transfer|InstantPayments|Interac|
  Interac-eTransfer|Interac-express-connect|Interac-online|invoice|iWallet|Jeton|JetonCash|jpay|KakaoPay|Khelocard|
  Klarna|KNOT|Litecoin|loonie|LPG-online|LPG-payment-card|Matrix|MaxiCash|Megafon|MercadoPago|MiFinity-eWallet|
  miscellaneous|MobilePay|Mollie|MTS|MuchBetter|MuchBetterVoucher|Multibanco|MyFatoorah|Neosurf|Netbanking|Neteller|
  Nordea-Solo|NordikCoin|OchaPay|online-bank-transfer|Onlineueberweisen|oriental-wallet|OXXO|P24|Pagadito|
  PagoEffectivo|Pagsmile-deposit-express|Pagsmile-lottery|Pay4Fun|PayCash|Payco|Payeer|payment-card|
  PaymentAsia-crypto|Paymero|Paymero-QR|Paynote|paypal|Paysafecard|PayTabs|PayU|PayULatam|Perfect-money|phone|
  PhonePe|Piastrix|PinPay|PIX|POLi|PostFinance-card|PostFinance-e-finance|QIWI|QPay|QQPay|rapyd-checkout|
  rebilly-hosted-payment-form|Resurs|reverse-withdrawal|Ripple|SafetyPay|Samsung Pay|SEPA|Siirto|Skrill|
  Skrill Rapid Transfer|SMSVoucher|Sofort|SparkPay|SPEI|swift-dbt|Tele2|Telr|Terminaly-RF|Tether|ToditoCash-card|
  Trustly|Tupay|TWINT|UniCrypt|UPayCard|UPI|USD-coin|VCreditos|VegaWallet|VenusPoint|Viva|voucher|voucher-2|
  voucher-3|voucher-4|Wallet88|Webmoney|Webpay|Webpay Card|Webpay-2|WeChat Pay|XPay-P2P|XPay-QR|Yandex-money|
  Zimpler|Zip|Zotapay
`);

export const GATEWAYS = words(`
  A1Gateway|ACI|Adyen|Aera|Aircash|Airpay|Airwallex|AmazonPay|AmexVPC|Antom|ApcoPay|AsiaPay|AsiaPaymentGateway|
  AstroPayCard|AuthorizeNet|Awepay|Bambora|BankSEND|BitPay|BlueSnap|BraintreePayments|Buckaroo|BVNK|Cardknox|
  Cashflows|CASHlib|Cashterminal|CashToCode|CauriPayment|Cayan|CCAvenue|Chase|CheckoutCom|Chillstock|Circle|Citadel|
  Clearhaus|Cleo|CODVoucher|Coinbase|CoinGate|CoinPayments|Conekta|Coppr|Credorax|Cryptomus|Cryptonator|CyberSource|
  DataCash|Dengi|Dimoco|Directa24|dLocal|Dragonphoenix|Dropayment|EasyPayDirect|EBANX|ecoPayz|ecoPayzTurkey|
  EcorePay|Elavon|eMerchantPay|EMS|ePay|EPG|EPro|Euteller|Ezeebill|eZeeWallet|ezyEFT|FasterPay|Finrax|FinTecSystems|
  Flexepin|Forte|FundSend|gate2way|GET|Gigadat|GlobalOnePay|GoCardless|Gooney|Gpaysafe|Greenbox|HiPay|iCanPay|
  iCashOne|ICEPAY|iCheque|iDebit|Ilixium|Ingenico|INOVAPAY|Inovio|InstaDebit|Intuit|IpayOptions|Jeton|JetPay|
  JPMOrbital|Khelocard|Klarna|Konnektive|Kushki|LaCore|Limepay|loonie|Loonio|LPG|MaxiCash|MercadoPago|MiFinity|
  MobilePay|Mollie|Moneris|Monolo|MonRem|MtaPay|MuchBetter|MuchBetterGateway|MyFatoorah|Naewe|Neosurf|Netbanking|
  Neteller|NGenius|NinjaWallet|NMI|NordikCoin|NOWPayments|NuaPay|OchaPay|OmniMatrix|Onlineueberweisen|OnRamp|
  Orbital|Pagadito|Pagsmile|Panamerican|PandaGateway|ParamountCommerce|ParamountEft|ParamountInterac|Pay4Fun|
  Paybilt|PayCash|PayClub|Paycly|PayCom|PayEcards|Payeezy|Payflow|PaymentAsia|PaymenTechnologies|PaymentsOS|Paymero|
  Paynote|PayPal|Payper|Payr|PayRedeem|PayRetailers|Paysafe|Paysafecard|Paysafecash|PayTabs|PayU|PayULatam|
  Payvision|PharosPayments|Piastrix|Pin4Pay|Plugnpay|PostFinance|Powertranz|PPRO|Prosa|PSiGate|Rapyd|Realex|
  Realtime|Redsys|Rotessa|RPN|Safecharge|Sagepay|SaltarPay|SeamlessChex|SecureTrading|SecurionPay|Skrill|
  SmartInvoice|SMSVoucher|Sofort|SparkPay|Splitit|StaticGateway|STPMexico|Stripe|Tabby|Telr|TestProcessor|
  ToditoCash|Triple000|Truevo|Trustly|TrustsPay|TWINT|Unlimit|UPayCard|USAePay|VantivLitle|VCreditos|vegaaH|
  VegaWallet|Viva|Wallet88|Walpay|WesternUnion|Wirecard|WorldlineAtosFrankfurt|Worldpay|XPay|Zimpler|Zotapay
`);
