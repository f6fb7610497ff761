{{/* What control is called, and what its labels are. */}}
{{- define "outrigger.name" -}}
outrigger
{{- end -}}

{{- define "outrigger.selector" -}}
app.kubernetes.io/name: outrigger
app.kubernetes.io/component: control
{{- end -}}

{{- define "outrigger.labels" -}}
{{ include "outrigger.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
istio.io/rev: {{ .Values.revision }}
{{- end -}}

{{- define "outrigger.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "outrigger.initImage" -}}
{{ .Values.initImage.repository }}:{{ .Values.initImage.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Where sidecars find it. */}}
{{- define "outrigger.address" -}}
{{ include "outrigger.name" . }}.{{ .Release.Namespace }}.svc:15012
{{- end -}}

{{/* Nobody, without rights. */}}
{{- define "outrigger.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsGroup: 1337
runAsNonRoot: true
runAsUser: 1337
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Namespaces that no webhook is for. */}}
{{- define "outrigger.notExcluded" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
  - kube-system
  - kube-public
  - kube-node-lease
  - {{ .Release.Namespace }}
  {{- range .Values.webhooks.excludedNamespaces }}
  - {{ . }}
  {{- end }}
{{- end -}}

{{/* What control is told. */}}
{{- define "outrigger.arguments" -}}
- control
- --kubernetes
- --listen=0.0.0.0:15012
- --webhooks=0.0.0.0:15017
- --webhook-configuration={{ include "outrigger.name" . }}-{{ .Values.revision }}
- --service={{ include "outrigger.name" . }}.{{ .Release.Namespace }}.svc
- --admin=0.0.0.0:15014
- --injection=/etc/outrigger/injection/settings.yaml
- --ca-secret={{ .Release.Namespace }}/{{ .Values.ca.secret }}
- --trust-domain={{ .Values.trustDomain }}
- --root-namespace={{ .Values.rootNamespace }}
{{- range .Values.arguments }}
- {{ . | quote }}
{{- end }}
{{- end -}}
